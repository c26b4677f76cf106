"""What people and machines are shown of an examination."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from linvae.doctor import Examination, Finding
from linvae.doctor.render import (
    as_html_page,
    as_html_section,
    as_json,
    as_lines,
    as_rows,
    as_tables,
    heading_of,
    value_in_words,
)

NASTY = '<script>alert("x")</script> & \x1b[31mred'

FINDING = Finding(
    code="kl-sign",
    asked="Does the KL push down?",
    found=f"No: {NASTY}",
    evidence={"slope_nats": np.float64(-1.25), "values": [1.0, float("nan")]},
    cause="a minus sign",
    remedy="write + beta * kl",
)
FACTS = {
    "effective_beta": np.float64(3.0),
    "nothing": None,
    "lower": float("-inf"),
    "spectrum": np.arange(12.0),
    "by_part": {"recon": 0.5, "kl": {"factor": 2}},
    "runs": [
        {"source": "a", "alive": True, "latents": [{"mode": 0, "c": 0.5}, {"mode": 1, "c": 1.0}]},
        {"source": "b", "alive": False},
    ],
    NASTY: object,
}


def examined(**changes) -> Examination:
    parts = {"asked": ("One?", NASTY), "facts": FACTS, "findings": (FINDING,), "seconds": 0.25}
    return Examination("loss", "mine.py:loss", **{**parts, **changes})


class Reader(HTMLParser):
    """Collects tags and text, and refuses what is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[tuple] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [a for a in attrs if a[0] in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    return reader


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.23456789, "1.23457"),
        (np.float32(0.5), "0.5"),
        (np.array([1, 2]), "1, 2"),
        (True, "yes"),
        (np.bool_(False), "no"),
        (None, "not known"),
        (float("nan"), "not a number"),
        ([], "none"),
        ({"a_b": 1, "c": [True]}, "a b 1, c yes"),
        ({"z", "a"}, "a, z"),
        (7, "7"),
        ("two\nlines\x07", "two lines"),
    ],
)
def test_values_in_words(value, words):
    assert value_in_words(value) == words


def test_long_lists_are_cut_and_say_so():
    assert value_in_words(list(range(20))) == "0, 1, 2, 3, 4, 5, 6, 7, ..."


def test_nested_facts_are_flattened_and_records_stand_side_by_side():
    rows = dict(as_rows(FACTS))
    assert rows["by part: recon"] == "0.5"
    assert rows["by part: kl: factor"] == "2"
    assert "runs" not in rows
    runs, latents = as_tables(FACTS)
    assert runs.columns == ("", "1", "2")
    assert ("source", "a", "b") in runs.rows
    assert latents.title == "runs 1: latents"
    assert ("c", "0.5", "1") in latents.rows
    assert as_tables(FACTS, nested=False) == [runs]


def test_many_records_are_split_into_several_tables():
    tables = as_tables({"runs": [{"n": i} for i in range(9)]})
    assert [t.columns[1:] for t in tables] == [tuple("1234"), tuple("5678"), ("9",)]
    assert [cell for t in tables for row in t.rows for cell in row[1:]] == list("012345678")


def test_lines_hold_everything_and_no_control_characters():
    lines = as_lines(examined())
    text = "\n".join(lines)
    assert lines[0] == "Examination of the loss mine.py:loss: 1 finding"
    for part in ("kl-sign", "a minus sign", "write + beta * kl", "-1.25", "One?", "effective beta"):
        assert part in text
    assert "\x1b" not in text
    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"findings": ()}, "nothing wrong found"),
        ({"findings": (FINDING, FINDING)}, "2 findings"),
        ({"failure": "KeyError: 'x'"}, "could not be examined"),
    ],
)
def test_the_heading_says_how_it_went(changes, verdict):
    assert heading_of(examined(**changes)).endswith(verdict)


def test_a_failure_is_told_in_every_form():
    failed = examined(failure="KeyError: 'weights' (theirs)", findings=())
    assert "KeyError: 'weights' (theirs)" in as_lines(failed)
    assert "KeyError: 'weights' (theirs)" in read(as_html_section(failed)).text
    assert json.loads(as_json(failed))["failure"] == "KeyError: 'weights' (theirs)"


def test_json_is_strict_and_complete():
    def refuse(name):
        raise AssertionError(name)

    document = json.loads(as_json(examined()), parse_constant=refuse)
    assert document["facts"]["effective_beta"] == 3.0
    assert document["facts"]["lower"] is None
    assert document["facts"]["spectrum"] == list(range(12))
    assert document["findings"][0]["evidence"] == {"slope_nats": -1.25, "values": [1.0, None]}
    assert document["healthy"] is False


def test_the_page_stands_by_itself_and_escapes_everything():
    page = as_html_page([examined(), examined(findings=())], title=NASTY)
    reader = read(page)
    assert reader.tags.count("section") == 2
    assert "script" not in reader.tags
    assert not reader.links
    assert '<script>alert("x")</script>' in reader.text, "shown, not run"
    assert "\x1b" not in page
    assert page.startswith("<!DOCTYPE html>")
    assert reader.tags.count("article") == 1


def test_html_shows_what_the_lines_show():
    reader = read(as_html_section(examined()))
    for name, value in as_rows(FACTS):
        assert name in reader.text
        assert value in reader.text
    for table in as_tables(FACTS):
        assert table.title in reader.text
