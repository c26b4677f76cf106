"""The documentation site: what its build would miss, and that its examples are true."""

from __future__ import annotations

import doctest
import itertools
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
EXAMPLES = [name for name in PAGES if ">>>" in (DOCS / name).read_text(encoding="utf-8")]


@pytest.fixture
def tools(monkeypatch):
    """The scripts of docs/ as modules."""
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    pytest.importorskip("sphinx", reason="sphinx is not installed: pip install -e '.[docs]'")


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_the_pages(name, monkeypatch):
    if "deep." in (DOCS / name).read_text(encoding="utf-8"):
        pytest.importorskip("torch")
    monkeypatch.chdir(ROOT)
    outcome = doctest.testfile(str(DOCS / name), module_relative=False)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_pictures_of_the_pages_are_figures_of_pyplot():
    """Only those are found and shown; a picture that is not is left out in silence."""
    found = 0
    for name in PAGES:
        for code in re.findall(
            r"^\.\. plot::\n(.*?)^```", (DOCS / name).read_text("utf-8"), re.S | re.M
        ):
            found += 1
            assert "plt.subplots(" in code, name
    assert found


def test_pages_with_examples_are_found():
    assert {"tutorial.md", "choose-beta.md", "theorem.md", "conventions.md"} <= set(EXAMPLES)


def named_in_tables_of_contents(text: str) -> set[str]:
    tables = re.findall(r"```\{toctree\}\n(.*?)```", text, flags=re.S)
    lines = [line.strip() for table in tables for line in table.splitlines()]
    return {line for line in lines if line and not line.startswith(":")}


def test_every_page_is_in_a_table_of_contents():
    named = named_in_tables_of_contents("\n".join((DOCS / p).read_text("utf-8") for p in PAGES))
    assert {name.removesuffix(".md") for name in PAGES} - {"index"} <= named
    assert {"course/*", "proofs/index", "api/index"} <= named


@pytest.mark.usefixtures("tools")
class TestReference:
    def test_every_public_module_has_its_page(self):
        import reference

        pages = reference.pages()
        modules = reference.public_modules()
        assert {"linvae", "linvae.frontier", "linvae.symbolic.theorem", "deep.gates"} <= set(
            modules
        )
        listed = set(re.findall(r"^   ([\w.]+)$", "\n".join(pages.values()), flags=re.M))
        for name in modules:
            assert f".. automodule:: {name}\n" in pages[f"{name}.rst"]
            assert name in listed
            assert f":mod:`{name}`" in pages["index.rst"]

    def test_every_public_name_is_on_the_page_of_its_module_or_linked_from_it(self):
        import reference

        pages = reference.pages()
        for name in ("linvae", "linvae.frontier", "linvae.landscape", "linvae.verification"):
            for item in sys.modules[name].__all__:
                entry = rf"(?:auto\w+|py:data):: {item}$|:py:obj:`{item} <"
                assert re.search(entry, pages[f"{name}.rst"], flags=re.M), (name, item)

    def test_a_name_has_one_home(self):
        import reference

        entries = []
        for name, text in reference.pages().items():
            entries += [
                id(getattr(sys.modules[name.removesuffix(".rst")], item))
                for item in re.findall(
                    r"^\.\. auto(?:class|function|exception):: (\w+)$", text, re.M
                )
            ]
        assert len(entries) == len(set(entries)) > 300

    def test_a_module_without_an_area_stops_the_build(self):
        import reference

        assert reference.area_of("linvae.landscape.more") == "Beyond one optimum"
        with pytest.raises(ValueError, match=r"linvae\.unheard_of belongs to no area"):
            reference.area_of("linvae.unheard_of")

    def test_references_find_the_home_of_a_name(self):
        import crossrefs
        import reference

        reference.pages()
        assert crossrefs.documented("linvae.Frontier", None) == "linvae.frontier.Frontier"
        assert crossrefs.documented("Spectrum", "linvae.frontier") == "linvae.spectrum.Spectrum"
        assert crossrefs.documented("InputError", "deep.gates") == "deep.errors.InputError"
        assert crossrefs.documented("InputError", "linvae.spectrum") == "linvae.errors.InputError"
        assert crossrefs.documented("Nonsense", "linvae.spectrum") is None


@pytest.mark.usefixtures("tools")
class TestPrepared:
    def test_notebooks_and_their_checks_are_copied(self, tmp_path):
        import prepare

        (tmp_path / "course").mkdir()
        for name in (
            "01-first.md",
            "02-second.md",
            "notes.md",
            "01-first.ipynb",
            "course/check.py",
        ):
            (tmp_path / name).write_text(name)
        pages = prepare.course_pages(tmp_path)
        assert pages == {name: name for name in ("01-first.md", "02-second.md", "course/check.py")}

    def test_a_folder_holds_what_was_written_last(self, tmp_path):
        import prepare

        prepare.write_pages(tmp_path, {"a.md": "a", "b/c.md": "c"})
        before = (tmp_path / "a.md").stat().st_mtime_ns
        prepare.write_pages(tmp_path, {"a.md": "a", "d.md": "d"})
        assert (tmp_path / "a.md").stat().st_mtime_ns == before
        assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a.md", "d.md"]

    def test_notebooks_are_dealt_out_among_the_other_pages(self):
        import prepare

        slow, rest = [f"course/{i}" for i in range(3)], [f"page{i}" for i in range(20)]
        dealt = sorted(rest + slow)
        prepare.spread(None, None, dealt)
        assert sorted(dealt) == sorted(rest + slow)
        places = [place for place, name in enumerate(dealt) if name in slow]
        assert min(b - a for a, b in itertools.pairwise(places)) >= 7
        only = ["page1", "page2"]
        prepare.spread(None, None, only)
        assert only == ["page1", "page2"]

    def test_sections_of_the_readme_keep_their_links(self):
        import prepare

        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        text = prepare.section(readme, "Measured") + prepare.section(readme, "Limits")
        targets = re.findall(r"(?:<|\]\()\.\./(results/[\w.-]+)[>)]", text)
        assert len(targets) > 5
        assert all((ROOT / target).is_file() for target in targets)
        assert "](results/" not in text
        pages = re.findall(r"\]\(([\w-]+\.md)\)", text)
        assert pages
        assert all((ROOT / "docs" / page).is_file() for page in pages)
        assert "](docs/" not in text
        assert "CONTRIBUTING" not in text

    def test_every_proof_has_its_page_and_links_lead_to_pages(self):
        import proof_pages

        from proofs import MODULES

        pages = proof_pages.pages(ROOT / "proofs")
        assert {f"{name}.md" for name in MODULES} <= set(pages)
        assert "prove()" not in pages["t1_c.md"].split("<details>")[0]
        for text in pages.values():
            for target in re.findall(r"\]\((\w+\.\w+)\)", text.split("````python")[0]):
                assert target in pages


@pytest.mark.usefixtures("tools")
class TestLinks:
    def test_a_good_site_has_no_problems(self, tmp_path):
        import check_links

        (tmp_path / "a.html").write_text(
            '<a href="b.html#x">b</a><a href="https://arxiv.org">c</a>'
        )
        (tmp_path / "b.html").write_text('<p id="x"><a href="#x">x</a><img src="c.png"></p>')
        (tmp_path / "c.png").write_bytes(b"")
        assert check_links.problems(tmp_path) == []

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ('<a href="nowhere.html">x</a>', "no such file"),
            ('<a href="#nowhere">x</a>', "no such place"),
            ('<img src="nowhere.png">', "no such file"),
            ('<a href="../outside.html">x</a>', "no such file"),
            ('<script src="https://cdn.example/x.js"></script>', "loads https"),
            ('<link rel="stylesheet" href="//fonts.example/x.css">', "loads //"),
            ('<img srcset="http://example.org/x.png">', "loads http"),
            ("<style>@import 'https://example.org/x.css';</style>", "loads https"),
            ('<p style="background: url(https://example.org/x.png)">x</p>', "loads https"),
        ],
    )
    def test_what_is_wrong_is_found(self, tmp_path, text, wrong):
        import check_links

        (tmp_path.parent / "outside.html").write_text("")
        (tmp_path / "a.html").write_text(text)
        found = check_links.problems(tmp_path)
        assert found
        assert all(wrong in line for line in found)

    def test_style_sheets_may_not_load_either(self, tmp_path):
        import check_links

        (tmp_path / "a.html").write_text("<p>x</p>")
        (tmp_path / "a.css").write_text("@font-face { src: url('https://fonts.example/x.woff2') }")
        assert check_links.problems(tmp_path) == ["a.css: loads https://fonts.example/x.woff2"]

    def test_an_empty_site_is_not_fine(self, tmp_path):
        import check_links

        assert check_links.problems(tmp_path) == [f"{tmp_path}: no pages"]
