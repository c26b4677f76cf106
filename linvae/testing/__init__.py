"""What another project needs to test its own linear VAE code against the theory (hypothesis).

:func:`theorem_suite` turns an implementation into a test class; :mod:`linvae.testing.strategies`
draws the spectra, gates and parameters on which such code goes wrong. Needs
``pip install linvae[testing]``.
"""

from __future__ import annotations

try:
    import hypothesis as _  # noqa: F401
except ImportError as error:
    from linvae.errors import MissingPackageError

    raise MissingPackageError(
        "testing: got no hypothesis; expected property-based testing; "
        "install it with pip install linvae[testing]"
    ) from error

from .counterexample import Counterexample, smallest_counterexample
from .theorem import theorem_suite

__all__ = ["Counterexample", "smallest_counterexample", "theorem_suite"]
