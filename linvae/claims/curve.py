"""Claims about the joint optimum, the frontier and the calibrated decoder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from linvae._types import LinearVAE
from linvae._validation import FloatArray
from linvae.calibrated import CalibratedFrontier, calibrated_noise_variance
from linvae.frontier import Frontier

from .types import Check, Claim, Setting, judged, not_applicable

__all__ = ["CURVE_CLAIMS"]

_ROUNDING = 1e-11


def _on_curve(setting: Setting, claim: Claim) -> Check:
    points = setting.curve.at_beta(setting.betas)
    difference = np.abs(setting.terms.objective - points.objective)
    rate = np.abs(setting.terms.rate - points.rate) / (1 + points.rate)
    residual = max(float((difference / setting.magnitude).max()), float(rate.max()))
    return judged(claim, residual, _ROUNDING, "relative difference of objective and of rate")


def _moved(
    setting: Setting, rng: np.random.Generator, size: float
) -> Iterator[dict[str, FloatArray]]:
    """Changes of the optimum: each parameter stretched both ways, then all of them at random."""
    model = setting.model
    for sign in (-size, size):
        for name in ("encoder", "decoder", "posterior_variance"):
            yield {name: getattr(model, name) * np.exp(sign)}
    shift = setting.visible(rng.standard_normal(model.encoder.shape))
    lift = rng.standard_normal(model.decoder.shape)
    yield {
        "encoder": model.encoder + size * shift * np.abs(model.encoder).max(),
        "decoder": model.decoder + size * lift * np.abs(model.decoder).max(),
        "posterior_variance": model.posterior_variance
        * np.exp(size * rng.standard_normal(model.posterior_variance.shape)),
    }


def _not_beaten(setting: Setting, claim: Claim) -> Check:
    rng = np.random.default_rng(2)
    best, largest, tried = setting.curve.at_beta(setting.betas).objective, 0.0, 0
    for size in (1e-4, 1e-3, 1e-2, 0.1, 1.0):
        for changes in _moved(setting, rng, size):
            other = LinearVAE(**{**vars(setting.model), **changes})
            gain = best - other.evaluate(setting.spectrum, setting.betas).objective
            largest = max(largest, float((gain / setting.magnitude).max()))
            tried += 1
    return judged(
        claim, largest, _ROUNDING, f"largest relative gain over {tried} changes of the optimum"
    )


def _aggregated(setting: Setting, claim: Claim) -> Check:
    parts = setting.model.information(setting.spectrum)
    identity = np.eye(setting.latent_dim)
    residual = float(np.abs(parts.aggregated_covariance - identity).max())
    return judged(claim, residual, _ROUNDING, "largest entry of E S Eᵀ + C − I over all β")


def _elsewhere(setting: Setting) -> LinearVAE:
    """A model that is optimal nowhere, with offsets of its own: no identity holds by accident."""
    rng = np.random.default_rng(3)
    model, spectrum = setting.model, setting.spectrum
    step = np.sqrt(spectrum.total_variance / spectrum.n_features)
    return LinearVAE(
        encoder=model.encoder * rng.uniform(0.5, 1.5, (setting.latent_dim, 1)),
        posterior_variance=model.posterior_variance * rng.uniform(0.5, 1.5, setting.latent_dim),
        decoder=model.decoder,
        noise_variance=model.noise_variance,
        encoder_offset=model.encoder_offset + step * rng.standard_normal(spectrum.n_features),
        decoder_offset=model.decoder_offset + step * rng.standard_normal(spectrum.n_features),
        latent_offset=rng.standard_normal(setting.latent_dim),
    )


def _rate_is_information(setting: Setting, claim: Claim) -> Check:
    parts = setting.model.information(setting.spectrum)
    off = np.abs(parts.rate - parts.mutual_information) / (1 + parts.rate)
    residual = max(float(off.max()), float(np.abs(parts.total_correlation).max()))
    return judged(
        claim, residual, _ROUNDING, "relative |rate − I|, and the total correlation, nats"
    )


def _rate_splits(setting: Setting, claim: Claim) -> Check:
    vae = _elsewhere(setting)
    parts = vae.information(setting.spectrum)
    whole = vae.evaluate(setting.spectrum, setting.betas)
    split = parts.total_correlation + parts.dimension_wise_kl.sum(axis=-1)
    size = 1 + np.abs(whole.rate) + np.abs(parts.mutual_information)
    errors = [
        whole.rate - parts.mutual_information - parts.marginal_kl,
        parts.marginal_kl - split,
    ]
    if setting.spectrum.complete:
        four = vae.elbo_split(setting.spectrum)
        size = size + np.abs(four.log_likelihood) + np.abs(whole.distortion)
        errors.append(
            four.log_likelihood
            + four.likelihood_ratio
            - four.mutual_information
            - four.marginal_kl
            - whole.elbo
        )
    residual = max(float((np.abs(error) / size).max()) for error in errors)
    return judged(
        claim, residual, _ROUNDING, "relative error of the identities for a model optimal nowhere"
    )


def _posterior_gap(setting: Setting, vae: LinearVAE) -> FloatArray:
    """Average KL from q(z|x) to the exact posterior of the decoder, by its Gaussian formula."""
    spectrum, k = setting.spectrum, setting.latent_dim
    variance = vae.noise_variance[..., None, None]
    precision = np.eye(k) + np.swapaxes(vae.decoder, -1, -2) @ vae.decoder / variance
    reader = np.linalg.solve(precision, np.swapaxes(vae.decoder, -1, -2) / variance)
    read = spectrum.read_by(vae.encoder) - spectrum.read_by(np.asarray(reader))
    shift = (
        np.einsum("...kn,...n->...k", vae.encoder, spectrum.mean - vae.encoder_offset)
        + vae.latent_offset
        - np.einsum("...kn,...n->...k", reader, spectrum.mean - vae.decoder_offset)
    )
    spread = read @ np.swapaxes(read, -1, -2) + shift[..., None] * shift[..., None, :]
    spread = spread + vae.posterior_variance[..., None] * np.eye(k)
    trace = np.einsum("...ij,...ji->...", precision, spread)
    logdet = np.linalg.slogdet(precision)[1] + np.log(vae.posterior_variance).sum(axis=-1)
    return np.asarray(0.5 * (trace - k - logdet))


def _evidence_bound(setting: Setting, claim: Claim) -> Check:
    worst = 0.0
    standard = setting.optimum(np.ones_like(setting.betas))
    for vae in (setting.model, _elsewhere(setting), standard):
        likelihood = vae.log_likelihood(setting.spectrum)
        elbo = vae.evaluate(setting.spectrum, setting.betas).elbo
        gap = _posterior_gap(setting, vae)
        size = setting.magnitude + np.abs(elbo) + np.abs(likelihood)
        worst = max(worst, float((np.abs(likelihood - elbo - gap) / size).max()))
        worst = max(worst, float((-gap / size).max()))
    tight = float((np.abs(gap) / size).max())  # of the last one, the optimum at β = 1
    return judged(
        claim,
        max(worst, tight),
        _ROUNDING,
        "relative error of log-likelihood − ELBO = KL to the exact posterior ≥ 0, for three models",
    )


def _gaps(setting: Setting, claim: Claim) -> Check:
    curve, betas = setting.curve, setting.betas
    best = np.abs(curve.gap(setting.terms.rate, setting.terms.distortion, betas))
    still = LinearVAE(
        encoder=0 * setting.model.encoder[0],
        posterior_variance=np.ones(setting.latent_dim),
        decoder=0 * setting.model.decoder[0],
        noise_variance=np.asarray(setting.noise_variance),
        encoder_offset=setting.spectrum.mean,
        decoder_offset=setting.spectrum.mean,
    ).evaluate(setting.spectrum, betas)
    lost = curve.gap(still.rate + 0 * betas, still.distortion + 0 * betas, betas)
    scaled = curve.normalised_gap(still.rate + 0 * betas, still.distortion + 0 * betas, betas)
    off = np.abs(lost - curve.collapsed_loss(betas)) / setting.magnitude
    share = np.where(scaled.in_nats, 0.0, np.abs(scaled.value - 1))
    share = share * np.maximum(scaled.collapsed_loss, 1) / setting.magnitude
    residual = float(max((best / setting.magnitude).max(), off.max(), share.max()))
    return judged(claim, residual, _ROUNDING, "relative error of the excess of both models")


def _slope(setting: Setting, claim: Claim) -> Check:
    # Convexity: tangents of slope −β lie below the curve everywhere.
    points = setting.curve.at_beta(setting.betas)
    tangent = points.distortion - points.beta * (points.rate[:, None] - points.rate)
    above = (tangent - points.distortion[:, None]) / setting.magnitude.max()
    # The slope itself: that of a short chord lies between the β's of its ends.
    near = setting.curve.at_beta(setting.betas * (1 + 1e-3))
    rise, width = near.distortion - points.distortion, points.rate - near.rate
    outside = np.maximum(points.beta * width - rise, rise - near.beta * width) / setting.magnitude
    return judged(
        claim,
        float(max(above.max(), outside.max())),
        _ROUNDING,
        "how far tangents of slope −β rise above the curve, and chords leave the β's of their "
        "ends, relative",
    )


def _inverse(setting: Setting, claim: Claim) -> Check:
    curve = setting.curve
    if not setting.critical_betas.size:
        return not_applicable(claim, "the data have no variance to encode")
    points = curve.at_beta(setting.betas)
    # Where the water level is lost in the rounding of the squared error, that cannot be inverted.
    level = points.squared_error - curve.floor
    unit = np.abs(points.distortion) + np.abs(curve.distortion_of(0.0)) + 1
    seen = level > 1e-8 * (curve.floor + 2 * setting.noise_variance * unit)
    by_rate = curve.at_beta(curve.at_rate(points.rate).beta)
    residual = float((np.abs(by_rate.rate - points.rate) / (1 + points.rate)).max())
    if seen.any():
        error, distortion = points.squared_error[seen], points.distortion[seen]
        by_error = curve.at_beta(curve.at_squared_error(error).beta)
        by_distortion = curve.at_beta(curve.at_distortion(distortion).beta)
        off = np.abs(by_distortion.distortion - distortion) / unit[seen]
        residual = max(
            residual,
            float(np.abs(by_error.squared_error / error - 1).max()),
            float(off.max()),
        )
    return judged(
        claim, residual, _ROUNDING, "relative backward error of rate, squared error and distortion"
    )


def _critical(setting: Setting, claim: Claim) -> Check:
    critical = setting.critical_betas
    if not critical.size:
        return not_applicable(claim, "the data have no variance to encode")
    at, below = (setting.curve.at_beta(b).active for b in (critical, np.nextafter(critical, 0)))
    dead = (critical[:, None] > critical).sum(axis=0)  # modes strictly above this one
    alive = (critical[:, None] >= critical).sum(axis=0)
    wrong = int(np.count_nonzero(at != dead) + np.count_nonzero(below != alive))
    gains = np.abs(setting.optimum(critical).decoder).max(axis=-2)
    mode = np.arange(critical.size)
    wrong += int(np.count_nonzero(gains[mode, mode]))
    return judged(claim, float(wrong), 0.0, "modes alive at their critical β or dead one ulp below")


def _shannon(setting: Setting, claim: Claim) -> Check:
    if not setting.spectrum.complete:
        return not_applicable(claim, "only the leading eigenpairs of the data are known")
    shannon = Frontier.shannon(setting.spectrum, noise_variance=setting.noise_variance)
    here, there = (c.at_beta(setting.betas) for c in (setting.curve, shannon))
    lower = (there.objective - here.objective) / setting.magnitude
    values = np.append(setting.spectrum.leading_eigenvalues(setting.spectrum.n_features), 0.0)
    same = here.water_level >= values[setting.latent_dim]
    apart = np.where(same, np.abs(lower), 0.0)
    return judged(
        claim,
        float(max(lower.max(), apart.max())),
        _ROUNDING,
        "relative violation, and the difference while τ ≥ λ_{k+1}",
    )


def _data_processing(setting: Setting, claim: Claim) -> Check:
    if not setting.spectrum.complete:
        return not_applicable(claim, "only the leading eigenpairs of the data are known")
    if setting.spectrum.rank < setting.spectrum.n_features:
        return not_applicable(claim, "the covariance is singular: the data entropy is −∞")
    # The second model makes neither inequality an equality by construction.
    entropy = setting.spectrum.gaussian_entropy
    worst = 0.0
    for vae in (setting.model, _elsewhere(setting)):
        terms = vae.evaluate(setting.spectrum, setting.betas)
        information = vae.information(setting.spectrum).mutual_information
        size = setting.magnitude + abs(entropy)
        worst = max(
            worst,
            float(((entropy - terms.distortion - information) / size).max()),
            float(((information - terms.rate) / size).max()),
        )
    return judged(
        claim, worst, _ROUNDING, "relative violation, for the optimum and another encoder"
    )


def _calibrated(setting: Setting, claim: Claim) -> Check:
    spectrum, k = setting.spectrum, setting.latent_dim
    if not setting.critical_betas.size:
        return not_applicable(claim, "the data have no variance to model")
    curve = CalibratedFrontier(spectrum, latent_dim=k)
    middles = [
        np.sqrt(s.beta_high * max(s.beta_low, s.beta_high / 4))
        for s in curve.segments
        if s.beta_low < s.beta_high * (1 - 1e-6)
    ]
    betas = np.array([2 * curve.critical_betas[0], *middles[:12]])
    variances = calibrated_noise_variance(spectrum, betas, latent_dim=k)
    claimed = curve.at_beta(betas).objective
    worst = 0.0
    for beta, variance, objective in zip(betas, variances, claimed, strict=True):

        def reached(factor: float, beta: float = beta, variance: float = variance) -> float:
            other = Frontier(spectrum, latent_dim=k, noise_variance=variance * factor)
            return float(other.at_beta(beta).objective)

        best = reached(1.0)
        size = 1 + abs(best) + abs(0.5 * spectrum.n_features * np.log(2 * np.pi * variance))
        gain = max(best - reached(factor) for factor in (0.5, 0.99, 1.01, 2.0))
        worst = max(worst, gain / size, abs(best - objective) / size)
    return judged(
        claim, worst, _ROUNDING, "largest relative gain of another noise variance at equal β"
    )


def _straight(setting: Setting, claim: Claim) -> Check:
    if not setting.critical_betas.size:
        return not_applicable(claim, "the data have no variance to model")
    curve = CalibratedFrontier(setting.spectrum, latent_dim=setting.latent_dim)
    worst = 0.0
    for segment in curve.segments:
        high = min(segment.rate_high, segment.rate_low + segment.active)
        points = curve.at_rate(np.linspace(segment.rate_low, high, 5))
        width = np.diff(points.rate)
        if not width.all():
            continue
        chords = -np.diff(points.distortion) / width
        outside = setting.spectrum.tail_variance(segment.active)
        level = segment.active * points.water_level[1:]
        allowed = outside / (level + outside)  # how far −slope may stay below n/m, relative
        short = 1 - chords / segment.straight_beta
        unit = np.abs(points.distortion).max() / (width * segment.straight_beta)
        worst = max(worst, float((np.maximum(short - allowed, -short) / (1 + unit)).max()))
    return judged(
        claim,
        worst,
        _ROUNDING,
        "how far chords of the calibrated curve leave that interval, relative",
    )


CURVE_CLAIMS = (
    Claim("optimum", "The response functions achieve the closed-form frontier.", _on_curve),
    Claim("global", "No perturbed linear VAE beats the frontier.", _not_beaten),
    Claim("critical", "Mode i is active exactly for β < λᵢ/σ².", _critical),
    Claim("slope", "The frontier is convex and decreasing with slope −β.", _slope),
    Claim("inverse", "Queries by rate and by squared error invert the curve.", _inverse),
    Claim("aggregated", "At the optimum the aggregated posterior covariance is I.", _aggregated),
    Claim(
        "information",
        "At the optimum the rate is the mutual information (Gaussian data).",
        _rate_is_information,
    ),
    Claim(
        "split",
        "The rate of any model is mutual information + total correlation + dimension-wise KL.",
        _rate_splits,
    ),
    Claim(
        "evidence",
        "ELBO = log-likelihood − KL to the exact posterior, which is 0 at the optimum for β = 1.",
        _evidence_bound,
    ),
    Claim(
        "processing",
        "Entropy − distortion ≤ mutual information ≤ rate (Gaussian data).",
        _data_processing,
    ),
    Claim(
        "shannon",
        "The rank-k frontier lies above Shannon's, and on it while τ ≥ λ_{k+1}.",
        _shannon,
    ),
    Claim(
        "gap",
        "The normalised excess of the optimum is 0, that of a model that ignores the data is 1.",
        _gaps,
    ),
    Claim("calibrated", "The calibrated noise variance is optimal at its β.", _calibrated),
    Claim(
        "straight",
        "With a calibrated decoder and m active modes the slope is −n/m, up to the "
        "share T_m/(mτ + T_m) of variance outside them.",
        _straight,
    ),
)
