"""Made-up curves of methods, for tests of statistics, records and pictures."""

from __future__ import annotations

import numpy as np

from deep.comparison.method_curves import MethodCurves
from deep.comparison.methods_record import methods_record
from deep.comparison.record import conditions

BETAS = np.geomspace(0.01, 10, 10)


def curves(name, kind, *, factor=1.0, seeds=(0, 1, 2), betas=BETAS, noise=0.002, seconds=10.0,
           changes=None, parameters=1000):  # fmt: skip
    """A curve like that of binarized MNIST, all of it times a factor."""
    # Data and latents differ between seeds alike for all methods: their differences are smaller.
    rate = np.exp(np.interp(np.log(betas), np.log([0.01, 0.1, 1, 10]), np.log([129, 82, 26, 3.5])))
    distortion = np.interp(np.log(betas), np.log([0.01, 0.1, 1, 10]), [42.2, 45.2, 68.7, 148.4])
    shift = [
        np.random.default_rng([seed, sum(map(ord, name))]).standard_normal(len(betas))
        for seed in seeds
    ]
    scale = factor * (1 + noise * np.array(shift))
    error = 2 * distortion * scale
    return MethodCurves(
        name=name, kind=kind, seeds=tuple(seeds), betas=betas, rate=rate * scale,
        distortion=distortion * scale, squared_error=error,
        active_units=np.floor(np.minimum(32, rate / 3) * np.ones_like(scale)),
        objective_se=np.full(scale.shape, 0.3),
        seconds=seconds * np.arange(1, len(seeds) + 1), runs=len(betas) if kind in (
            "dedicated", "annealed") else 1,
        parameters=parameters, steps=100, changes=changes or {},
    )  # fmt: skip


def several(seeds=(0, 1, 2), variants=2, noise=0.002):
    alone = BETAS[[0, 3, 6, 9]]
    return [
        curves("multi-rate", "multi-rate", factor=1.004, seeds=seeds, noise=noise),
        *(
            curves(f"variant-{i}", "variant", factor=1.004 + 0.01 * i, seeds=seeds, noise=noise,
                   changes={"model": {"conditioning": "input"}})
            for i in range(variants)
        ),
        curves("dedicated", "dedicated", seeds=seeds, betas=alone, noise=noise, seconds=30.0,
               parameters=990),
        curves("annealed", "annealed", factor=1.001, seeds=seeds, betas=alone, noise=noise,
               seconds=31.0),
    ]  # fmt: skip


def record(methods=None, **changes):
    methods = several() if methods is None else methods
    about = {
        "experiment": "Made-up networks on made-up images.",
        "command": "linvae compare made-up",
        "config": {"name": "made-up"},
        "conditions": conditions(seeds=[0, 1, 2], data={"name": "made-up"}),
        "methods": methods, "n_samples": 500, "n_features": 784, "data_range": 1.0,
    }  # fmt: skip
    return methods_record(**{**about, **changes})
