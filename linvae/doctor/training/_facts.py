"""What a training examination measured, findings or not, as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linvae._validation import FloatArray
from linvae.doctor._model_reader import READINGS

from ._hypotheses import MISFIT, Explanation, Fit, factor_of
from ._laws import Laws, Standing
from ._words import plain

__all__ = ["facts_of"]


def facts_of(
    fits: Sequence[Fit], noise_variance: float, declared: float | None, best: Explanation | None
) -> dict[str, Any]:
    """Effective β, correction, worst excess, and one record per run."""
    factors = np.array([factor_of(fit, noise_variance) for fit in fits])
    known = factors[np.isfinite(factors)]
    factor = float(np.exp(np.median(np.log(known)))) if known.size else float("nan")
    facts = {
        "noise_variance": noise_variance,
        "noise_variance_declared": declared is not None,
        "explanation": None if best is None else best.code,
        "explanation_misfit": None if best is None else best.misfit,
        "effective_beta_over_beta": factor,
        "correction": _correction(factor, known, best),
        "largest_excess_nats": max((_place(f).excess for f in fits if f.standing), default=None),
        "largest_normalised_excess": max(
            (_place(f).normalised for f in fits if f.standing), default=None
        ),
        "seconds_of_training": sum(f.seconds for f in fits),
        "runs": [_record(fit, noise_variance) for fit in fits],
    }
    told = {f.read.encode_returns for f in fits} - {READINGS["log_var"]}
    if told:
        facts["encode_is_read_as"] = " or ".join(sorted(told))
    skipped = [f.read.skipped for f in fits if f.read.skipped is not None]
    if skipped:
        facts["not_asked"] = f"whether that answer depends on the batch: it refused {skipped[0]}"
    cleaned: dict[str, Any] = plain(facts)
    return cleaned


def _place(fit: Fit) -> Standing:
    assert fit.standing is not None
    return fit.standing


def _correction(factor: float, known: FloatArray, best: Explanation | None) -> str:
    if not np.isfinite(factor):
        return "no latent carries anything, so the effective beta cannot be read"
    if best is None or not best.factor_only or not best.misfit <= MISFIT:
        return "no factor of the KL term alone explains what was read"
    if best.code == "right":
        return "none: the effective beta is the one that was asked for"
    varies = known.max() > 1.15 * known.min()
    if varies and best.correction:
        return f"multiply the KL term by {best.correction}"
    return f"multiply the KL term by {1 / factor:.4g}"


def _record(fit: Fit, noise_variance: float) -> dict[str, Any]:
    source, read = fit.source, fit.read
    record: dict[str, Any] = {
        "source": source.name,
        "n": fit.width,
        "k": read.latent_dim,
        "N": fit.count,
        "beta": source.beta,
        "seed": fit.seed,
        "seconds": fit.seconds,
        "finite": read.finite,
        "encoder_nonlinearity": read.encoder_nonlinearity,
        "decoder_nonlinearity": read.decoder_nonlinearity,
        "spread_of_log_variance": read.variance_spread,
    }
    if fit.laws is not None and fit.standing is not None:
        record["effective_beta"] = factor_of(fit, noise_variance) * source.beta
        record |= _standing(fit.standing)
        record["latents"] = _latents(fit.laws)
    return record


def _standing(standing: Standing) -> dict[str, Any]:
    drops = standing.drops
    return {
        "excess_nats": standing.excess,
        "normalised_excess": standing.normalised,
        "normalised_is_in_nats": standing.in_nats,
        "excess_of_the_subspace_nats": standing.subspace_excess,
        "excess_of_rotation_and_scale_nats": standing.excess - standing.subspace_excess,
        "excess_of_offsets_nats": standing.offset_excess,
        "gradient": standing.gradient_norm,
        "drop_of_encoder_alone_nats": drops.encoder,
        "drop_of_decoder_alone_nats": drops.decoder,
        "drop_of_variances_alone_nats": drops.variance,
        "modes_wrongly_dead": standing.wrongly_dead,
        "modes_wrongly_alive": standing.wrongly_alive,
        "turned_within_ties_degrees": standing.turned_within_ties,
        "turned_between_modes_degrees": standing.turned_between_modes,
    }


def _latents(laws: Laws) -> list[dict[str, Any]]:
    """Mode by mode: three readings of the water level, and what else the laws say."""
    rows = []
    for j in range(laws.variance.size):
        value, alive = float(laws.eigenvalue[j]), bool(laws.alive[j])
        rows.append(
            {
                "mode": int(laws.mode[j]),
                "alive": alive,
                "variance_of_data": value if alive else None,
                "posterior_variance": float(laws.variance[j]),
                "water_level_from_variance": float(laws.variance_level[j]) if alive else None,
                "water_level_from_decoder": (
                    value - float(laws.decoder_norms[j]) if alive else None
                ),
                "water_level_from_encoder": float(laws.encoder_level[j]) if alive else None,
                "noise_seen_by_decoder": float(laws.seen_noise[j]) if alive else None,
            }
        )
    return rows
