"""What another project needs to test its own linear VAE code against the theory (hypothesis)."""

from __future__ import annotations
