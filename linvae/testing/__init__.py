"""What another project needs to test its own linear VAE code against the theory (hypothesis).

:func:`theorem_suite` turns an implementation into a test class; :mod:`linvae.testing.strategies`
draws the spectra, gates and parameters on which such code goes wrong. Needs
``pip install linvae[testing]``.
"""

from __future__ import annotations

from linvae._validation import missing_package

try:
    from .counterexample import Counterexample, smallest_counterexample
    from .theorem import theorem_suite
except ModuleNotFoundError as error:
    raise missing_package("hypothesis", "property-based testing", "testing") from error

__all__ = ["Counterexample", "smallest_counterexample", "theorem_suite"]
