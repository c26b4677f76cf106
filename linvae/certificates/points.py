"""What float64 arithmetic adds when a hypernetwork or the response is called, at sampled β only.

Unlike the other certificates these bounds hold at finitely many β: the numbers that NumPy returned
there, taken as exact, are compared with the exact response in ball arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from linvae._types import LinearVAE
from linvae._validation import FloatArray
from linvae.hypernetwork import Hypernetwork
from linvae.response import response
from linvae.spectrum import Spectrum

from ._balls import Ball, above, ball
from ._modes import Mode, gate_at
from .types import Certificate, bounded

__all__ = ["point_certificates"]

# Matrix entries that are compared in all.
_ENTRIES = 600_000


def _sample(modes: list[Mode], betas: FloatArray, entries: int) -> FloatArray:
    """Given β's and those on and beside critical β's, as many as the entries allow."""
    low, high = betas[0], betas[-1]
    critical = [above(m.threshold.exp()) for m in modes if m.threshold is not None]
    near = [b for c in critical for b in (c, float(np.nextafter(c, 0.0)))]
    inside = [b for b in near if low <= b <= high]
    count = max(2, _ENTRIES // entries)
    return np.unique([*betas, *inside])[:: max(1, (betas.size + len(inside)) // count)]


def _row_error(row: list[float], gain: Ball, scale: Ball, vector: list[Ball]) -> Ball:
    """Upper bound of the norm of scale·row − gain·vector."""
    gaps = [scale * ball(a) - gain * u for a, u in zip(row, vector, strict=True)]
    top = sum((gap * gap for gap in gaps), ball(0)).upper()
    return top.sqrt() if top > 0 else ball(0)


def _model_error(model: LinearVAE, modes: list[Mode], vectors: list[list[Ball]], at: Ball) -> float:
    """Largest difference, in the units of the gates, of one float64 model and the response."""
    worst = 0.0
    for i, mode in enumerate(modes):
        root = mode.value.sqrt() if mode.threshold is not None else ball(1)
        y = at if mode.threshold is None else at - mode.threshold
        alive = mode.threshold is not None
        gain = gate_at("sqrt_relu", y) if alive else ball(0)
        variance = gate_at("min_exp", y) if alive else ball(1)
        columns = (model.decoder[:, i].tolist(), 1 / root), (model.encoder[i].tolist(), root)
        errors = [_row_error(row, gain, scale, vectors[i]) for row, scale in columns]
        errors.append((ball(model.posterior_variance[i]) / variance - 1).abs_upper())
        worst = max(worst, *(above(error) for error in errors))
    return worst


def _constant_error(
    batch: LinearVAE, modes: list[Mode], mean: FloatArray, noise_variance: float
) -> float:
    """Largest difference of σ², relative, of the offsets over √λ₁, and of the latent offset."""
    variance = ball(noise_variance)
    scale = ball(1) if modes[0].threshold is None else 1 / modes[0].value.sqrt()
    centre = [ball(entry) for entry in mean.tolist()]
    errors = [(ball(v) / variance - 1).abs_upper() for v in np.unique(batch.noise_variance)]
    for offset in (batch.encoder_offset, batch.decoder_offset):
        rows = np.unique(offset, axis=0).tolist()
        errors += [_row_error(row, scale, scale, centre) for row in rows]
    errors += [abs(ball(v)) for v in np.unique(batch.latent_offset)]
    return max(above(error) for error in errors)


def point_certificates(
    network: Hypernetwork,
    modes: list[Mode],
    spectrum: Spectrum,
    noise_variance: float,
    betas: FloatArray,
    radius: float,
) -> Iterator[Certificate]:
    """Yield the rounding of a hypernetwork's call, then of the response's, at sampled β.

    Parameters
    ----------
    network : Hypernetwork
    modes : list of Mode
    spectrum : Spectrum
    noise_variance : float
    betas : array (B,)
        Rising; critical β's between the first and the last are added.
    radius : float
    """
    k = len(modes)
    sample = _sample(modes, betas, 4 * k * spectrum.n_features)
    vectors = [
        [ball(entry) for entry in column] for column in spectrum.leading_eigenvectors(k).T.tolist()
    ]
    logs = [ball(b).log() for b in sample.tolist()]
    best = response(spectrum, sample, latent_dim=k, noise_variance=noise_variance)
    for name, batch in (("hypernetwork", network(sample)), ("response", best)):
        worst = max(_model_error(batch[i], modes, vectors, at) for i, at in enumerate(logs))
        worst = max(worst, _constant_error(batch, modes, spectrum.mean, noise_variance))
        yield bounded(
            f"points.{name}",
            f"largest difference of the float64 numbers that the {name} returns from the exact "
            f"response, in the units of gates.*, 1/σ² and 1/√λ₁ (offsets), at "
            f"{sample.size} sampled β only",
            worst,
            radius,
            boxes=sample.size,
        )
