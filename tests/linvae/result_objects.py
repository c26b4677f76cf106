"""One example of everything that can be stored, and a comparison that sees every bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

import numpy as np

import linvae as lv
from linvae import budget, fixed_decoder, storage, uncertainty
from linvae.certificates.types import Certificate
from linvae.claims.types import Check
from linvae.doctor import Examination, Finding
from linvae.dynamics import linear_warmup, mode_flow, model_flow
from linvae.hierarchical import HierarchicalFrontier
from linvae.hierarchical.bottom_up import BottomUpFrontier, BottomUpVAE
from linvae.landscape import BetaRange, stationary_points
from linvae.linear_vae import elbo_split, information

OPTIONS = {"latent_dim": 2, "noise_variance": 0.5}


def spectrum() -> lv.Spectrum:
    """Samples of four features with a mean; eigenvectors not along the axes."""
    samples = np.random.default_rng(3).standard_normal((40, 4)) * [3.0, 2.0, 1.0, 1.0]
    return lv.Spectrum.from_samples(samples)


def one_of_each() -> list[Any]:
    """At least one object of every kind that the format knows."""
    data = spectrum()
    curve = lv.Frontier(data, **OPTIONS)
    betas = np.geomspace(0.1, 9.0, 6).reshape(2, 3)
    batch = lv.response(data, betas, **OPTIONS)
    one = lv.response(data, 1.0, **OPTIONS)
    calibrated = lv.CalibratedFrontier(data, latent_dim=2)
    points = stationary_points(data, 0.7, **OPTIONS)
    start = lv.LinearVAE(one.encoder * 0.1, one.posterior_variance, one.decoder * 0.1, 0.5)
    flow = model_flow(data, 0.7, start, [0.0, 0.1])
    layers = HierarchicalFrontier(data, latent_dims=(2, 1), noise_variance=0.5)
    upward = BottomUpFrontier(
        data, latent_dims=(2, 1), noise_variance=0.5, prior_variance=0.4, encoder_variance=0.3
    )
    two = layers.model(0.5, 0.7)
    return [
        data, curve, calibrated, list(calibrated.segments), curve.at_beta(betas),
        curve.at_rate(1.0), batch, one, batch.evaluate(data, betas), one.evaluate(data, 1.0),
        information(one, data), information(batch, data), elbo_split(one, data),
        curve.normalised_gap(1.0, 9.0, 1.0),
        lv.Hypernetwork.exact(data, **OPTIONS).standardised((0.1, 10.0)),
        fixed_decoder.FixedDecoderFrontier(data, one.decoder, 0.5),
        budget.smallest_model(data, noise_variance=0.5, rate=1.0),
        uncertainty.asymptotic_bands(data, betas, **OPTIONS),
        points, points[-1].descent, BetaRange(0.5, np.inf),
        linear_warmup(1.0, 2.0),
        mode_flow(2.0, 0.5, (0.1, 1.0, 0.1), [0.0, 1.0], noise_variance=0.5),
        flow, layers.at(betas, 0.7), two, two.evaluate(data, 0.5, 0.7), upward.at(betas, 0.7),
        BottomUpVAE(**{name: getattr(two, name) for name in ("variance1", "variance2", "prior_gain",
                       "prior_variance", "decoder", "noise_variance")},
                    encoder1=one.encoder, encoder2=np.ones((1, 2))),
        Check("T1.a", "≤ holds", 1e-17, "<=", 1e-10, "holds", "a note"),
        Check("T1.c", "?", float("nan"), ">=", -0.0, "not applicable", ""),
        Certificate("gates", "sup", 1e-9, "<=", 1e-6, 3, 2, "certified"),
        Examination("loss", "theirs", ("one?", "two?"), {"scale": 2.0, "names": ["a"]},
                    (Finding("c", "a?", "f", {"nats": np.float64(0.3)}, "cause", "remedy"),)),
        {"betas": betas, "active": np.array([1, 2]), "flags": np.array([True, False])},
        [np.array(2.5), (1, "text", None, True, -np.inf), np.zeros((0, 3)), 1.5e308, 5e-324],
    ]  # fmt: skip


def parts(value: Any, path: str = "it") -> Iterator[tuple[str, Any]]:
    """Every array, number and text in an object, with its place; private tables of curves too."""
    if type(value).__module__.startswith("linvae") and hasattr(value, "__dict__"):
        yield path, type(value).__name__
        for name, item in vars(value).items():
            if not is_dataclass(value) or name in value.__dataclass_fields__:
                yield from parts(item, f"{path}.{name}")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from parts(item, f"{path}[{name!r}]")
    elif isinstance(value, list | tuple):
        yield path, (type(value).__name__, len(value))
        for number, item in enumerate(value):
            yield from parts(item, f"{path}[{number}]")
    else:
        yield path, value


def bits(value: Any) -> dict[str, Any]:
    """Place -> the bytes there: equal only when every bit is, the sign of zero among them."""

    def raw(item: Any) -> Any:
        if isinstance(item, np.ndarray):
            return item.dtype.str, item.shape, item.tobytes()
        if isinstance(item, float):
            return float, np.float64(item).tobytes()
        return item

    return {path: raw(item) for path, item in parts(value)}


def kinds_in(value: Any) -> set[str]:
    """Names of the classes in an object, as the format calls them."""
    names = {name: kind for kind, (_, name) in storage.KINDS.items()}
    found = {item for _, item in parts(value) if isinstance(item, str)}
    return {names[name] for name in found & set(names)}
