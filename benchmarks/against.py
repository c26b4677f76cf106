"""Samples to spectrum and frontier, against others: ``python -m benchmarks.against``.

60000 × 784 generated numbers whose eigenvalues decay as those of images do, or the original
training images of MNIST with ``--folder FOLDER``. Three groups; within each all take turns, so a
ratio says how many times as long as ours it takes under the same conditions:

- everything: all eigenvalues and the frontier at ten β's; PCA of scikit-learn with the solvers that
  return the same; the floor, XᵀX and eigh alone (of the samples as they are, so another spectrum);
- leading: the k largest eigenvalues;
- other models of as many latents: FactorAnalysis has one noise variance per feature, so its
  loadings have other eigenvalues. An EM pPCA, ``ppca`` 0.0.4 of PyPI, runs where it is installed
  (``pip install --no-deps ppca``). It scales every feature to variance 1 and is held against our
  spectrum of samples scaled likewise. It is of 2019, as is ``pyppca``, the other one there: both
  run on NumPy 2, neither is maintained.

Besides times the record has the largest difference of eigenvalues to ours, relative to each:
whether it is the same spectrum is measured and not assumed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import linvae as lv

from .mnist_frontier import read_images
from .pictures import panels, picture_path, save_figure, stems
from .record import RESULTS, conditions, write_json
from .timing import Call, FloatArray, interleaved, ratios, table

__all__ = ["Contender", "generated", "headline", "main", "measure"]

OURS, FLOOR = "linvae", "floor: XᵀX and eigh"
EVERYTHING, LEADING, OTHERS = "everything", "leading", "other models"
BETAS = np.geomspace(0.01, 10.0, 10)
NOISE_VARIANCE = 0.5
# Smaller eigenvalues, relative to the largest, are rounding in whatever way they are found.
LEAST = 1e-9


@dataclass(frozen=True)
class Contender:
    """A call that returns eigenvalues in falling order; None where they are not comparable."""

    name: str
    run: Callable[[], FloatArray | None]
    truth: Callable[[], FloatArray]
    note: str = ""


def generated(samples: int, features: int) -> FloatArray:
    """Rows (N, n) about a mean, with eigenvalues that fall as i⁻², in directions at random."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((features, features)))[0]
    scales = 3.0 / np.arange(1.0, features + 1)
    return (rng.standard_normal((samples, features)) * scales) @ basis.T + rng.uniform(
        size=features
    )


def _ours(samples: FloatArray, latents: int, **options: Any) -> FloatArray:
    """All that a user asks for: the spectrum, the frontier, and ten points of it."""
    spectrum = lv.Spectrum.from_samples(samples, **options)
    lv.Frontier(spectrum, latent_dim=latents, noise_variance=NOISE_VARIANCE).at_beta(BETAS)
    return spectrum.eigenvalues


def _pca(samples: FloatArray, solver: str, latents: int | None) -> Callable[[], FloatArray]:
    from sklearn.decomposition import PCA

    share = (len(samples) - 1) / len(samples)  # scikit-learn divides by N - 1

    def run() -> FloatArray:
        model = PCA(latents, svd_solver=solver, random_state=0).fit(samples)
        return np.asarray(model.explained_variance_ * share)

    return run


def _factors(samples: FloatArray, latents: int) -> Callable[[], FloatArray]:
    from sklearn.decomposition import FactorAnalysis

    def run() -> FloatArray:
        loadings = FactorAnalysis(latents, random_state=0).fit(samples).components_
        return np.linalg.eigvalsh(loadings @ loadings.T)[::-1]

    return run


def _em_ppca(samples: FloatArray, latents: int) -> tuple[Callable[[], FloatArray], FloatArray]:
    """The call and the samples it looks at: features that vary, scaled to variance 1."""
    module = importlib.import_module("ppca")
    vary = samples.std(axis=0) > 0
    kept = samples[:, vary]
    share = (len(samples) - 1) / len(samples)

    def run() -> FloatArray:
        model = module.PPCA()
        model.fit(kept.copy(), d=latents)  # it may write to what it is given
        return np.asarray(model.eig_vals.real * share)

    return run, (kept - kept.mean(axis=0)) / kept.std(axis=0)


def _groups(samples: FloatArray, latents: int) -> dict[str, list[Contender]]:
    whole = lv.Spectrum.from_samples(samples).eigenvalues

    def all_of() -> FloatArray:
        return whole

    def first() -> FloatArray:
        return whole[:latents]

    def floor() -> None:
        np.linalg.eigh(samples.T @ samples)

    exact = [
        Contender(OURS, lambda: _ours(samples, latents), all_of),
        Contender(FLOOR, floor, all_of, "not centred, so another spectrum"),
        *(
            Contender(f"PCA, {solver}", _pca(samples, solver, None), all_of)
            for solver in ("covariance_eigh", "full")
        ),
    ]
    leading = [
        Contender(OURS, lambda: _ours(samples, latents, leading=latents), first),
        *(
            Contender(f"PCA, {solver}", _pca(samples, solver, latents), first)
            for solver in ("covariance_eigh", "arpack", "randomized")
        ),
    ]
    others = [
        leading[0],
        Contender("FactorAnalysis", _factors(samples, latents), first, "another model"),
    ]
    try:
        run, scaled = _em_ppca(samples, latents)
    except ImportError:
        pass
    else:
        others.append(
            Contender("EM pPCA, ppca of PyPI", run,
                      lambda: lv.Spectrum.from_samples(scaled).eigenvalues[:latents],
                      "features scaled to variance 1"))  # fmt: skip
    return {EVERYTHING: exact, LEADING: leading, OTHERS: others}


def _difference(got: FloatArray | None, want: FloatArray) -> float | None:
    if got is None:
        return None
    count = min(len(got), len(want))
    kept = want[:count] > LEAST * want[0]
    return float((np.abs(got[:count] - want[:count])[kept] / want[:count][kept]).max())


def _keeping(contender: Contender, into: dict[str, FloatArray | None]) -> Call:
    def run() -> None:
        into[contender.name] = contender.run()

    return run


def measure(
    samples: FloatArray, latents: int, rounds: Mapping[str, int]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Times, ratios to ours and differences of eigenvalues, for every contender of every group."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for group, contenders in _groups(samples, latents).items():
        last: dict[str, FloatArray | None] = {}
        calls = {c.name: _keeping(c, last) for c in contenders}
        # Ours has run by the time of the others, which take too long to be run for nothing.
        seconds = interleaved(calls, rounds[group], untimed=int(group != OTHERS))
        rows = ratios(seconds, OURS)
        found[group] = {
            c.name: {
                **rows[c.name],
                "largest_relative_difference": _difference(last[c.name], c.truth()),
                "note": c.note,
            }
            for c in contenders
        }
    return found


def headline(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the targets are about: our time over the floor's and over that of the fastest PCA."""
    same = {name: row["ratio"] for name, row in rows.items() if name.startswith("PCA")}
    fastest = min(same, key=lambda name: same[name])
    return {
        "ours / floor": {"ratio": 1 / rows[FLOOR]["ratio"], "target": 1.2},
        "ours / fastest PCA": {"ratio": 1 / same[fastest], "target": 1.05, "fastest": fastest},
    }


def _draw(found: Mapping[str, Mapping[str, Mapping[str, Any]]], shape: str, path: Path) -> None:
    figure, axes = panels(len(found), 1, width=6.6, height=1.9)
    titles = {
        EVERYTHING: f"All eigenvalues of {shape} samples",
        LEADING: "The leading eigenvalues",
        OTHERS: "Other models",
    }
    for ax, (group, rows) in zip(axes, found.items(), strict=True):
        others = {name: row for name, row in rows.items() if name != OURS}
        stems(ax, list(others), [row["ratio"] for row in others.values()],
              "time over that of linvae", titles[group], at=1.0)  # fmt: skip
    save_figure(figure, path)


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write results/benchmark-against.json and a picture beside it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--features", type=int, default=784)
    parser.add_argument("--latents", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="of the original MNIST, instead of generating")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--other-rounds", type=int, default=1, help="of the other models")
    parser.add_argument("--output", type=Path, default=RESULTS / "benchmark-against.json")
    options = parser.parse_args(argv)
    if options.folder is None:
        samples = generated(options.samples, options.features)
    else:
        samples = read_images(options.folder)[: options.samples] / 255.0
    rounds = dict.fromkeys((EVERYTHING, LEADING), options.rounds)
    found = measure(samples, options.latents, {**rounds, OTHERS: options.other_rounds})
    for group, rows in found.items():
        print(f"{group}:", *table(rows, OURS), sep="\n  ")
        for name, row in rows.items():
            if row["largest_relative_difference"] is not None:
                print(f"    {name}: eigenvalues differ from ours by at most "
                      f"{row['largest_relative_difference']:.2g} of their size")  # fmt: skip
    for name, row in headline(found[EVERYTHING]).items():
        print(f"{name}: {row['ratio']:.3f}; target {row['target']}")
    ppca = ("ppca",) if any("EM" in name for name in found[OTHERS]) else ()
    content = {
        "experiment": "samples to spectrum and frontier at ten β's, against other implementations",
        "command": "python -m benchmarks.against" + (" --folder FOLDER" if options.folder else ""),
        "conditions": conditions("scikit-learn", *ppca),
        "data": "MNIST, training images / 255" if options.folder else "generated",
        "samples": len(samples),
        "features": samples.shape[1],
        "latents": options.latents,
        "eigenvalues_compared_above": LEAST,
        "headline": headline(found[EVERYTHING]),
        "groups": found,
    }
    write_json(options.output, content)
    _draw(found, f"{len(samples)} × {samples.shape[1]}", picture_path(options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
