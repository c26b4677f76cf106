"""From the evidence of all fits to findings, in a fixed order of questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linvae.doctor.examination import Finding

from ._hypotheses import MISFIT, Explanation, Fit, best_explanation, factor_of
from ._objectives import other_objective
from ._words import WORDS, finding

__all__ = ["Verdict", "conclude", "settle_noise_variance"]

_OFFSET = 0.02  # of the collapsed loss, or 0.1 nats: what wrong offsets may cost
_EXCESS = 0.05  # normalised excess that is not worth a finding
_CLEAR = 0.1  # an explanation that needs no benefit of the doubt
_NONLINEAR = 0.3
_TOLD_APART = 0.02  # difference of misfits below which neither of two factors is preferred

Verdict = tuple[list[Finding], Explanation | None, float]


def settle_noise_variance(fits: Sequence[Fit], declared: float | None) -> float:
    """σ² that is declared, or the one of the two usual conventions that explains the fits better.

    A sum of squares without ½ is σ² = ½, with it σ² = 1; parameters show only βσ².
    """
    if declared is not None:
        return declared
    costs = {s: best_explanation(fits, s, declared=False)[0].cost for s in (0.5, 1.0)}
    return min(costs, key=lambda s: costs[s])


def conclude(fits: Sequence[Fit], noise_variance: float, *, declared: bool) -> Verdict:
    """Findings, the gravest first; the explanation taken; its misfit."""
    sick = _diverged(fits) or _too_many_latents(fits)
    if sick:
        return sick, None, float("nan")
    answers = [*_latent_dim(fits), *_reading(fits)]
    if any(f.code == "bounded-output" for f in answers):
        return answers, None, float("nan")  # the laws are those of affine decoders
    means, fair = _means(fits, noise_variance)
    if not fair:  # nothing to judge the weights by without the mean
        return [*answers, *means], None, float("nan")
    best, others = best_explanation(fair, noise_variance, declared=declared)
    training = (
        _blocks(fair)
        or _collapsed(fair)
        or _another(fair, best, noise_variance)
        or _explained(fair, best, noise_variance, others)
        or _remaining(fair, best, noise_variance)
    )
    if answers and not best.misfit <= _CLEAR:
        training = []  # dropout and the like move the laws a little
    unsteady = {f.code for f in answers} & {"left-in-training-mode", "batch-dependent"}
    if means and (not _stands_beside(means[0], training) or unsteady):
        means = []
    return [*answers, *training, *means], best, best.misfit


def _stands_beside(offset: Finding, training: list[Finding]) -> bool:
    """Whether wrong offsets are a finding of their own, or follow from what else was found.

    Where the data have no mean, frozen or unfinished parts are wrong, too; and where the KL is too
    weak to hold the means, only a wrong mean of x̂ counts.
    """
    codes = {f.code for f in training}
    if codes & {"not-converged", "weight-decay", "encoder-frozen", "decoder-frozen"}:
        return False
    return not codes or bool(offset.evidence["of_which_in_x_hat"] > offset.evidence["allowed_nats"])


def _diverged(fits: Sequence[Fit]) -> list[Finding]:
    runaway = [f for f in fits if f.laws is not None and _runs_away(f)]
    if runaway:
        signals = [float(f.laws.signal.max()) for f in runaway if f.laws is not None]
        evidence = {"largest_variance_of_posterior_means": max(signals), "runs": len(runaway)}
        return [finding("kl-sign", evidence)]
    wild = [f for f in fits if not f.read.finite]
    if wild:
        return [finding("training-diverged", {"runs": len(wild), "of": len(fits)})]
    return []


def _latent_dim(fits: Sequence[Fit]) -> list[Finding]:
    """Whether models have as many latents as were asked for; one model alone is asked for none."""
    wrong = [f for f in fits if f.source.latent_dim not in (0, f.read.latent_dim)]
    if not wrong:
        return []
    evidence = {
        "asked": sorted({f.source.latent_dim for f in fits}),
        "returned": sorted({f.read.latent_dim for f in fits}),
    }
    return [finding("latent-dim-ignored", evidence)]


def _too_many_latents(fits: Sequence[Fit]) -> list[Finding]:
    """More latents than features: no optimum to hold the models against."""
    wide = [f for f in fits if f.read.latent_dim > f.width]
    return _latent_dim(wide)


def _runs_away(fit: Fit) -> bool:
    """Means far wider than the prior, and variances that no KL of the right sign allows."""
    laws = fit.laws
    if laws is None:
        return False
    wide = laws.signal > 20.0
    # τ/(‖d‖² + τ) never exceeds 1; a missing KL leaves the means bounded.
    odd = (laws.variance > 1.5) | ((laws.variance < 1e-2) & (laws.signal > 200.0))
    return bool((wide & odd).any() or (laws.variance > 20.0).any())


def _reading(fits: Sequence[Fit]) -> list[Finding]:
    """What the models answer, before anything is made of it."""
    out = []
    reads = [f.read for f in fits]
    noise = max(float(r.encoder_noise.max(initial=0.0)) for r in reads)
    beyond = max(r.decoder_noise for r in reads)
    if noise > 0 or beyond > 0:
        evidence = {"std_of_mean_between_calls": noise, "std_of_x_hat_between_calls": beyond}
        out.append(finding("noise-at-evaluation", evidence))
    moved = [r.mode_dependence for r in reads if r.left_in_training and r.mode_dependence]
    if moved and max(moved) > 1e-3:
        out.append(finding("left-in-training-mode", {"relative_change_of_x_hat": max(moved)}))
    batch = max(r.batch_dependence for r in reads)
    if batch > 1e-3:
        out.append(finding("batch-dependent", {"relative_change": batch}))
    bent = max(r.decoder_nonlinearity for r in reads)
    if any(r.saturates for r in reads) and bent > 0.01:
        out.append(finding("bounded-output", {"relative_misfit_of_an_affine_decoder": bent}))
    return out


def _means(fits: Sequence[Fit], noise_variance: float) -> tuple[list[Finding], list[Fit]]:
    """Findings about offsets, and the fits whose weights can be judged without them."""
    bad = [f for f in fits if f.standing and f.standing.offset_excess > _allowed(f)]
    if not bad:
        return [], list(fits)
    centred = [f for f in fits if not f.source.spectrum.mean.any()]
    worst = max(bad, key=lambda f: f.standing.offset_excess if f.standing else 0.0)
    place = worst.standing
    spectrum, read = worst.source.spectrum, worst.read
    missed = read.linear_vae(noise_variance).decode(
        (read.encoder @ spectrum.mean + read.latent_offset)[None]
    )
    error = float(((spectrum.mean - missed) ** 2).sum()) / (2 * noise_variance)
    evidence = {
        "offset_excess_nats": place.offset_excess if place else float("nan"),
        "of_which_in_x_hat": error,
        "allowed_nats": _allowed(worst),
        "length_of_data_mean": float(np.linalg.norm(spectrum.mean)),
        "length_of_decode_at_zero": float(np.linalg.norm(read.decoder_offset)),
        "length_of_encode_at_zero": float(np.linalg.norm(read.latent_offset)),
    }
    code = _which_offset(worst) if spectrum.mean.any() else "offset-wrong"
    if code == "offset-wrong":  # biases that lag say nothing against the weights
        return [finding(code, evidence)], list(fits)
    return [finding(code, evidence)], [f for f in fits if f not in bad] or centred


def _allowed(fit: Fit) -> float:
    """What wrong offsets may cost, nats."""
    loss = fit.standing.collapsed_loss if fit.standing else 0.0
    return max(_OFFSET * loss, 0.1 * fit.source.beta)


def _which_offset(fit: Fit) -> str:
    mu = fit.source.spectrum.mean
    wanted = np.linalg.norm(fit.read.encoder @ mu)
    no_decoder = np.linalg.norm(fit.read.decoder_offset) < 0.05 * np.linalg.norm(mu)
    no_encoder = np.linalg.norm(fit.read.latent_offset) < 0.05 * wanted
    basis = np.linalg.svd(fit.read.decoder, full_matrices=False)[0]
    inside = float(np.linalg.norm(basis.T @ mu) / np.linalg.norm(mu))
    # By chance a direction lies in a k of n dimensional span with cosine about sqrt(k/n).
    if no_decoder:
        return "mean-not-modelled" if inside > 0.95 and no_encoder else "decoder-offset-missing"
    return "encoder-offset-missing" if no_encoder else "offset-wrong"


def _blocks(fits: Sequence[Fit]) -> list[Finding]:
    """One half at its best response, the other far from its own."""
    laws = [f.laws for f in fits if f.laws is not None and f.laws.alive.any()]
    if not laws:
        return []
    encoder = float(np.median([w.encoder_misfit for w in laws]))
    decoder = float(np.median([w.decoder_misfit for w in laws]))
    evidence = {"encoder_misfit": encoder, "decoder_misfit": decoder}
    if decoder > 0.15 and encoder < 0.1 * decoder:
        return [finding("decoder-frozen", evidence)]
    if encoder > 0.15 and decoder < 0.1 * encoder:
        return [finding("encoder-frozen", evidence)]
    return []


def _collapsed(fits: Sequence[Fit]) -> list[Finding]:
    """No latent alive anywhere, in the runs at a small beta neither."""
    if any(f.laws is not None and f.laws.alive.any() for f in fits):
        return []
    weights = [f.source.beta for f in fits]
    largest = max(float(np.abs(f.read.encoder).max()) for f in fits)
    still = all(not f.read.encoder.any() and not f.read.decoder.any() for f in fits)
    evidence = {"smallest_beta_tried": min(weights), "largest_encoder_weight": largest}
    return [finding("dead-latent" if still else "latents-detached", evidence)]


def _another(fits: Sequence[Fit], best: Explanation, noise_variance: float) -> list[Finding]:
    """Another objective, where a fault of the loss explains the models only loosely."""
    if best.code == "right" or best.misfit <= _CLEAR:
        return []
    return other_objective(fits, noise_variance)


def _explained(
    fits: Sequence[Fit], best: Explanation, noise_variance: float, others: Sequence[Explanation]
) -> list[Finding]:
    if best.code == "right" and best.misfit <= MISFIT:
        return _ddof(fits, best)
    if not best.misfit <= MISFIT:
        return []
    factors = [factor_of(f, noise_variance) for f in fits]
    evidence: dict[str, Any] = {
        "misfit": best.misfit,
        "betas": [f.source.beta for f in fits],
        "effective_betas": [x * f.source.beta for x, f in zip(factors, fits, strict=True)],
    }
    if best.formula:
        evidence["factor_is"] = best.formula
    if best.factor is not None:
        evidence["factor"] = best.factor
    rivals = _rivals(best, others)
    if not rivals:
        return [finding(best.code, evidence)]
    evidence["explained_as_well_by"] = ", ".join(rivals)
    return [finding(best.code, evidence, rivals=tuple(rivals.values()))]


def _rivals(best: Explanation, others: Sequence[Explanation]) -> dict[str, str]:
    """Code -> cause of other factors of the KL that these runs cannot tell from the best.

    Runs that differ in n, k, N and β tell them apart; a single one tells a number only.
    """
    if not best.factor_only:
        return {}
    near = [e for e in others if e.factor_only and e.misfit <= best.misfit + _TOLD_APART]
    codes = [e.code for e in near if e.code not in (best.code, "right")]
    return {code: WORDS[code].cause for code in dict.fromkeys(codes)}


def _ddof(fits: Sequence[Fit], best: Explanation) -> list[Finding]:
    """v/c = 1 - 1/N in every run, in parameters exact enough to tell."""
    if best.misfit > 0.2 / max(f.count or 1 for f in fits) * 50:
        return []
    offs = []
    for fit in fits:
        laws, count = fit.laws, fit.count
        if laws is None or count is None or not laws.alive.any():
            continue
        ratio = laws.seen_noise[laws.alive] / laws.variance[laws.alive]
        offs.extend(((1 - ratio) * count).tolist())
    if not offs or not np.all(np.abs(np.array(offs) - 1) < 0.1):
        return []
    evidence = {"mean_of_N_times_relative_error": float(np.mean(offs)), "misfit": best.misfit}
    return [finding("ddof", evidence)]


def _excess_of_weights(fit: Fit) -> float:
    """Normalised excess without what wrong offsets cost, which is a question of its own."""
    place = fit.standing
    if place is None:
        return 0.0
    return (place.excess - place.offset_excess) / (1.0 if place.in_nats else place.collapsed_loss)


def _remaining(fits: Sequence[Fit], best: Explanation, noise_variance: float) -> list[Finding]:
    """No fault explains it: modes that are missing, saddles, another objective, too few steps."""
    bent = max(max(f.read.encoder_nonlinearity, f.read.decoder_nonlinearity) for f in fits)
    if bent > _NONLINEAR:
        return []
    judged = [f for f in fits if f.standing is not None and f.laws is not None]
    worst = max(judged, key=_excess_of_weights)
    standing, laws = worst.standing, worst.laws
    if standing is None or laws is None:
        return []
    evidence = {
        "source": worst.source.name,
        "excess_nats": standing.excess,
        "normalised_excess": standing.normalised,
        "gradient": standing.gradient_norm,
        "drops_by_block_nats": standing.drops.total,
    }
    if not best.misfit <= MISFIT:
        return other_objective(fits, noise_variance) or [finding("not-converged", evidence)]
    if not _excess_of_weights(worst) > (0.1 if standing.in_nats else _EXCESS):
        return []
    dead = np.flatnonzero(np.logical_not(laws.alive))
    evidence["modes_wrongly_dead"] = standing.wrongly_dead
    settled = standing.drops.total < 0.05 * standing.excess + standing.offset_excess
    if dead.size and standing.wrongly_dead and settled:
        return [finding("dead-latent", {**evidence, "dead_latents": dead.tolist()})]
    if settled and standing.gradient_norm < 1e-3:
        return [finding("stuck", evidence)]
    return other_objective(fits, noise_variance) or [finding("not-converged", evidence)]
