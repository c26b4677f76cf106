"""The mutation runner: what it changes, how it judges, and what its committed results say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="the mutation extra is not installed")

from benchmarks import mutation
from benchmarks.mutants import KINDS, changed_lines, mutants_of, operators
from benchmarks.mutation import Outcome
from benchmarks.record import RESULTS

SOURCE = '''"""A doc with 1 + 1."""

LIMIT = 3

@decorate
def f(a: "x + y", *, b=2.5):
    """Text 7 * 7."""
    if a >= b:
        a += -b @ a
    return [*a, a * b, f"{a}"]
'''


OTHERS = ("+", "-", "/", "//", "%", "**")


def _changes(kind: str) -> set[tuple[str, str]]:
    found = mutants_of("f.py", SOURCE)
    return {changed_lines(SOURCE, m.apply(SOURCE)) for m in found if m.kind == kind}


def test_operators_are_those_of_floats() -> None:
    names = [operator.__name__ for _, operator in operators()]
    assert len(names) == len(set(names)) == 7 * 6 + 1 + 2 + 4 * 3 + 6 * 5 + 1
    assert not [n for n in names if any(w in n for w in ("Shift", "Bit", "Is", "Not_", "Invert"))]


def test_arithmetic_is_changed_wherever_it_stands() -> None:
    changes = _changes("arithmetic")
    product = 'return [*a, a * b, f"{a}"]'
    wanted = {(product, product.replace("a * b", f"a {o} b")) for o in OTHERS}
    line = "a += -b @ a"
    wanted |= {(line, f"a {o} -b @ a") for o in ("-=", "*=", "/=")}
    wanted |= {(line, "a += b @ a"), (line, "a += -b * a"), (line, "a += -b + a")}
    assert changes == wanted  # no star of arguments, no annotation, decorator or text


def test_comparisons_and_numbers_are_changed() -> None:
    line = "if a >= b:"
    wanted = {(line, f"if a {o} b:") for o in ("<", "<=", ">", "==", "!=")}
    assert {(b, " ".join(a.split())) for b, a in _changes("comparison")} == wanted
    numbers = {" ".join(after.split()) for _, after in _changes("number")}
    head = 'def f(a: "x + y", *, b= {}):'
    assert numbers == {"LIMIT = 4", "LIMIT = 2", head.format(3.5), head.format(1.5)}


def test_mutants_know_their_place() -> None:
    found = mutants_of("f.py", SOURCE)
    assert len({m.name for m in found}) == len(found)
    assert [m.line for m in found] == sorted(m.line for m in found)
    assert {m.definition for m in found if m.line > 3} <= {"f"}
    with pytest.raises(ValueError, match="does not apply to this source"):
        found[0].apply("pass\n")


def _outcome(kind: str, verdict: str, argument: str = "") -> Outcome:
    line = {"before": "x > y", "after": "x >= y"}
    return Outcome("n", "f.py", kind, "f", 3, verdict, 0.1, **line, argument=argument)


def test_counts_and_page() -> None:
    session = [
        *[_outcome("arithmetic", "killed")] * 6,
        _outcome("arithmetic", "timeout"),
        _outcome("comparison", "equivalent", "Both are the same."),
        *[_outcome("comparison", "survived")] * 2,
    ]
    summary = mutation.summarise(session)
    assert summary["f.py"]["arithmetic"]["killed"] == 6
    assert summary["f.py"]["comparison"] == {
        "mutants": 3,
        "killed": 0,
        "timeout": 0,
        "survived": 2,
        "equivalent": 1,
    }
    assert mutation.share_killed(summary, ["arithmetic", "comparison"]) == 0.7
    page = mutation.survivors_page(session)
    assert "- x > y\n+ x >= y\n" in page
    assert "Both are the same." in page
    assert page.count("**Not argued: a hole in the suite.**") == 1


def test_arguments_are_read_and_must_be_given(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    entry = '[[equivalent]]\nfile = "f.py"\nbefore = "a"\nafter = ["b", "c"]\nargument = "{}"\n'
    path.write_text(entry.format("Two\\n words."), encoding="utf-8")
    found = mutation.read_arguments(path)
    assert found == {("f.py", "a", "b"): "Two words.", ("f.py", "a", "c"): "Two words."}
    for bad in (entry.format(" "), entry.format("x") * 2):
        path.write_text(bad, encoding="utf-8")
        with pytest.raises(ValueError, match="twice, or without an argument"):
            mutation.read_arguments(path)


def test_every_argument_is_about_a_line_that_exists() -> None:
    for file, before, after in mutation.read_arguments():
        source = (mutation.ROOT / file).read_text(encoding="utf-8")
        assert before in {line.strip() for line in source.splitlines()}, (file, before)
        assert after != before


SMALL_SUITE = """
from linvae.hypernetwork import GATES
def test_sigmoid():
    assert GATES["sigmoid"](2.0) > 0.5 > GATES["sigmoid"](-2.0)
"""

RUN = """
import sys
from benchmarks import mutation as m
m.SUITE, file = sys.argv[1], "linvae/hypernetwork.py"
source = (m.ROOT / file).read_text(encoding="utf-8")
def run(old, new):
    assert source.count(old) == 1, old
    return m.run_suite(file, source.replace(old, new))
assert run("1.0, small) / (1.0", "1.0, small) / (1.5") == 0
assert run("1.0, small) / (1.0", "1.0, small) - (1.0") == 1
assert run("_BIAS = {", "_BIAS = 1 / 0 or {") == 2
endless = source.replace("small = np", "while True: pass\\n    small = np")
assert m.run_suite(file, endless, seconds=2.0) is None
print("judged")
"""


def test_mutants_are_judged_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "test_hypernetwork.py").write_text(SMALL_SUITE, encoding="utf-8")
    paths = [mutation.ROOT / file for file in mutation.FILES]
    before = [path.read_bytes() for path in paths]
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    done = subprocess.run(command, cwd=mutation.ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "judged\n", done.stderr
    assert [path.read_bytes() for path in paths] == before


def test_committed_results_meet_their_aim() -> None:
    record = json.loads((RESULTS / "mutation.json").read_text(encoding="utf-8"))
    assert record["command"] == "python -m benchmarks.mutation"
    assert set(record["files"]) == set(mutation.FILES)
    page = (RESULTS / "mutation-survivors.md").read_text(encoding="utf-8")
    survivors = record["survivors"]
    for file, by_kind in record["files"].items():
        for kind in KINDS:
            counts = by_kind[kind]
            assert counts["mutants"] == sum(counts[v] for v in mutation.VERDICTS)
            assert counts["survived"] == 0, (file, kind)
            here = [o for o in survivors if (o["file"], o["kind"]) == (file, kind)]
            assert len(here) == counts["equivalent"]
    assert record["killed"]["arithmetic and comparison"] >= 0.95
    assert record["killed"] == {
        **{kind: mutation.share_killed(record["files"], [kind]) for kind in KINDS},
        "arithmetic and comparison": mutation.share_killed(record["files"], KINDS[:2]),
    }
    arguments = mutation.read_arguments()
    for o in survivors:
        assert o["argument"] == arguments[o["file"], o["before"], o["after"]]
        assert f"- {o['before']}\n" in page
        assert f"+ {o['after']}\n" in page
        assert o["argument"] in page
    # Nothing is argued that the suite has come to notice.
    assert {(o["file"], o["before"], o["after"]) for o in survivors} == set(arguments)
