"""What README, CHANGELOG and the docstrings say is what the code does."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import linvae
from linvae.verification import CLAIMS, verify

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(linvae.__path__, "linvae.")
    if not module.name.endswith("__main__")  # running it starts the command line
)


def table(header: str) -> list[list[str]]:
    """Cells of the rows below a table's header line."""
    lines = README[README.index(header) :].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_claim_table_is_the_registry() -> None:
    spectrum = linvae.Spectrum.from_eigenvalues([5.0, 3.0, 2.0, 1.0])
    checks = verify(spectrum, latent_dim=2, noise_variance=0.5)
    want = [[c.claim, c.statement, c.status] for c in checks]
    assert table("| claim | statement | verdict |") == want
    assert len(want) == len(CLAIMS)


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == linvae.__version__
    assert f"## {linvae.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {linvae.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_benchmark_numbers_are_those_of_the_results() -> None:
    record = json.loads((ROOT / "results" / "benchmark-core.json").read_text(encoding="utf-8"))
    rows = {name: ratio for name, ratio, *_ in table("| ours / floor |")}
    assert rows.keys() == record["comparisons"].keys()
    for name, figures in record["comparisons"].items():
        assert rows[name] == f"{figures['ratio']:.2f}", name


def test_numbers_of_trained_networks_are_those_of_the_results() -> None:
    for name, multi_rate, dedicated, seeds in table("| experiment | multi-rate |"):
        found = re.search(r"\((results/.+)\)", name)
        assert found
        record = json.loads((ROOT / found[1]).read_text(encoding="utf-8"))
        assert seeds == str(len(record["conditions"]["seeds"]))
        for cell, part in ((multi_rate, "multi_rate"), (dedicated, "dedicated")):
            worst = record["summary"].get(part, {})
            share = worst.get("normalised_excess_largest")
            nats = worst.get("excess_nats_largest_where_little_to_lose")
            parts = [] if share is None else [f"{100 * share:.2f} %"]
            parts += [] if nats is None else [f"{nats:.4f} nats"]
            assert cell == ("; ".join(parts) or "–"), name


def test_numbers_beside_a_printed_curve_are_those_of_the_results() -> None:
    path = ROOT / "results" / "resnet-binarized-mnist-8-epochs.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    points, published = record["methods"][0]["points"], record["published"]
    rows = table("| β | rate | distortion | objective | printed there |")
    for row, point, excess in zip(rows, points, published["excess"], strict=True):
        assert row[0] == f"{point['beta']:.3g}"
        assert row[1:3] == [f"{point['rate']:.1f}", f"{point['distortion']:.1f}"]
        assert row[3] == f"{point['objective']:.2f}"
        assert row[5] == f"{100 * excess['excess']:.2f} %"
        assert all(one < 0 for one in excess["per_seed"]), "every seed is below at every β"
    printed = [f"{point['objective']:.2f}" for point in published["multi_rate"]]
    assert [row[4] for row in rows] == printed


def _share(row: dict[str, Any]) -> str:
    shown = f"{100 * row['excess']:+.1f} %"
    if row["interval"] is None:
        return shown
    low, high = (100 * end for end in row["interval"])
    return f"{shown} ({low:+.1f} to {high:+.1f})"


def _images(name: str) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """Excess over dedicated networks at each β, and costs, by method."""
    record = json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))
    excess = {
        comparison["method"]: [_share(row) for row in comparison["rows"]]
        for comparison in record["comparisons"]
        if comparison["baseline"] == "dedicated"
    }
    return excess, {entry["method"]: entry for entry in record["cost"]["per_method"]}


def test_numbers_of_networks_on_images_are_those_of_the_results() -> None:
    rows = table("| one network / dedicated ones |")
    assert len(rows) == 5
    for cell, *shares, seconds in rows:
        found = re.fullmatch(r"\[(.+)\]\(results/\1\.json\)", cell)
        assert found, cell
        excess, costs = _images(found[1])
        assert shares == excess["multi-rate"], cell
        want = [f"{costs[method]['seconds']:.0f}" for method in ("multi-rate", "dedicated")]
        assert seconds == " / ".join(want), cell


@pytest.mark.parametrize(
    ("name", "head"), [("recipe", "recipe"), ("gates", "gates"), ("ranges", "range of β")]
)
def test_numbers_of_variants_are_those_of_the_results(name: str, head: str) -> None:
    excess, costs = _images(f"{name}-binarized-mnist-cpu")
    rows = {method: cells for method, *cells in table(f"| {head} | β = 0.01 |")}
    assert rows.keys() == excess.keys()
    for method, (*shares, seconds) in rows.items():
        assert shares == excess[method], method
        assert seconds == f"{costs[method]['seconds_per_run']:.0f}", method


def test_nothing_was_left_to_fill_in() -> None:
    pages = sorted(path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md"))
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", *pages):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"TODO|TBD|XXX|FIXME|[A-Z]{5,}TIME", text), name


def test_the_number_of_proofs_is_that_of_their_table() -> None:
    rows = (ROOT / "proofs" / "README.md").read_text(encoding="utf-8").split("| --- |")[-1]
    verdicts = re.findall(r"\| (proved|sketch|fails) \| \[", rows)
    assert set(verdicts) == {"proved"}
    for text in (README, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")):
        named = re.findall(r"(\d+)\s+(?:proofs, of which none|claims derived)", text)
        assert named == [str(len(verdicts))]


def test_mutation_numbers_are_those_of_the_results() -> None:
    record = json.loads((ROOT / "results" / "mutation.json").read_text(encoding="utf-8"))
    rows = {name: cells for name, *cells in table("| mutated module |")}
    assert rows.keys() == record["files"].keys()
    for name, kinds in record["files"].items():
        counts = [kinds[kind] for kind in ("arithmetic", "comparison", "number")]
        assert rows[name] == [f"{c['killed']} of {c['mutants']}" for c in counts], name


def test_every_module_of_the_contributors_table_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:linvae|deep|tests|benchmarks|results)/[\w./]*)`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0


def test_numbers_of_the_clinic_are_those_of_the_results() -> None:
    record = json.loads((ROOT / "results" / "clinic.json").read_text(encoding="utf-8"))
    rows = [
        [
            row["kind"],
            f"{row['faults_named']} of {row['faulty_examined']}",
            f"{row['right_accused']} of {row['right_examined']}",
            str(row["seeds"]),
            f"{row['median_seconds']:.2f} s",
            f"{row['longest_seconds']:.1f} s",
        ]
        for row in record["kinds"]
    ]
    assert table("| examined | faults named |") == rows
