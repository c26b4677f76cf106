"""Bounds that ball arithmetic proves over whole ranges; needs ``pip install linvae[certify]``."""

from __future__ import annotations

from .certify import certificates, certify
from .sigmoid_five_points import sigmoid_cost
from .sigmoid_one_gate import sigmoid_gate_bound
from .types import Certificate

__all__ = ["Certificate", "certificates", "certify", "sigmoid_cost", "sigmoid_gate_bound"]
