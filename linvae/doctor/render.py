"""An examination for people and machines: lines of text, a section of HTML, JSON."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from linvae.datafiles import json_text

from .examination import Examination, Finding

__all__ = [
    "Table",
    "as_html_page",
    "as_html_section",
    "as_json",
    "as_lines",
    "as_plain",
    "as_rows",
    "as_tables",
    "closing_of",
    "heading_of",
    "value_in_words",
]

# Entries of a list that people still read; JSON has all of them.
_MOST_ENTRIES = 8
_MOST_COLUMNS = 4  # of records side by side
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1f24; background: #fff; }
h1, h2, h3 { line-height: 1.25; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0;
         overflow-wrap: anywhere; }
th { font-weight: normal; color: #57606a; }
.finding { border-left: .25rem solid #bf3989; padding-left: 1rem; margin: 1.5rem 0; }
.verdict { font-weight: bold; }
pre { white-space: pre-wrap; background: #f6f8fa; padding: .5rem 1rem; }
""".strip()


def value_in_words(value: Any, digits: int = 6) -> str:
    """A measured value as people write it: short numbers, short lists, one line."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value, digits)
    if isinstance(value, Mapping):
        return ", ".join(f"{_name(k)} {value_in_words(v, digits)}" for k, v in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
        shown = [value_in_words(item, digits) for item in items[:_MOST_ENTRIES]]
        return ", ".join(shown + ["..."] * (len(items) > _MOST_ENTRIES)) or "none"
    return _clean(str(value))


def _number(value: float, digits: int) -> str:
    if math.isnan(value):
        return "not a number"
    return f"{value:.{digits}g}"


def _name(name: Any) -> str:
    return _clean(str(name).replace("_", " "))


def _clean(text: str) -> str:
    """One line, without the control characters that a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def as_rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts or evidence as pairs (name, value) in words; nested mappings are flattened.

    Lists of mappings are left to :func:`as_tables`.
    """
    return list(_flattened("", facts))


def _flattened(prefix: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in facts.items():
        name = f"{prefix}{_name(key)}"
        if isinstance(value, Mapping) and value:
            yield from _flattened(f"{name}: ", value)
        elif not _is_records(value):
            yield name, value_in_words(value)


def _is_records(value: Any) -> bool:
    is_list = isinstance(value, list | tuple) and len(value) > 0
    return is_list and all(isinstance(item, Mapping) for item in value)


class Table(NamedTuple):
    """Records side by side: one column each, one row per measured thing."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_tables(facts: Mapping[str, Any], *, nested: bool = True) -> list[Table]:
    """Lists of mappings among the facts, such as one per run; with `nested` lists in them, too."""
    return list(_tables("", facts, nested))


def _tables(prefix: str, facts: Mapping[str, Any], nested: bool) -> Iterator[Table]:
    for key, value in facts.items():
        name = f"{prefix}{_name(key)}"
        if isinstance(value, Mapping):
            yield from _tables(f"{name}: ", value, nested)
        elif _is_records(value):
            yield from _side_by_side(name, value, nested)


def _side_by_side(name: str, records: Sequence[Mapping[str, Any]], nested: bool) -> Iterator[Table]:
    for start in range(0, len(records), _MOST_COLUMNS):
        part = records[start : start + _MOST_COLUMNS]
        flat = [dict(as_rows(record)) for record in part]
        named = list(dict.fromkeys(label for record in flat for label in record))
        columns = tuple(str(start + number) for number in range(1, len(part) + 1))
        rows = tuple((label, *(record.get(label, "") for record in flat)) for label in named)
        yield Table(name, ("", *columns), rows)
    for number, record in enumerate(records if nested else (), 1):
        yield from _tables(f"{name} {number}: ", record, nested)


def _verdict(examination: Examination) -> str:
    if examination.failure is not None:
        return "could not be examined"
    count = len(examination.findings)
    if count == 0:
        return "nothing wrong found"
    return f"{count} finding" + "s" * (count != 1)


def heading_of(examination: Examination) -> str:
    """What was examined and how it went, in one line."""
    subject = _clean(examination.subject)
    return f"Examination of the {examination.kind} {subject}: {_verdict(examination)}"


def closing_of(examination: Examination) -> str:
    """How much was asked and how long it took, in one line."""
    asked = len(examination.asked)
    return f"{asked} question{'s' * (asked != 1)} put in {examination.seconds:.2g} s."


def as_lines(examination: Examination) -> list[str]:
    """The whole examination as lines of plain text: findings first, then what was measured.

    Parameters
    ----------
    examination : Examination

    Returns
    -------
    list of str
        Each without a line break; indented by two spaces per level.
    """
    lines = [heading_of(examination)]
    if examination.failure is not None:
        lines += ["", _clean(examination.failure)]
    for number, finding in enumerate(examination.findings, 1):
        lines += ["", *_finding_lines(number, finding)]
    if examination.facts:
        lines += ["", "Measured"]
        lines += [f"  {name}: {value}" for name, value in as_rows(examination.facts)]
        lines += _table_lines(examination.facts, "  ")
    if examination.asked:
        lines += ["", "Asked"]
        lines += [f"  {_clean(question)}" for question in examination.asked]
    return [*lines, "", closing_of(examination)]


def _finding_lines(number: int, finding: Finding) -> list[str]:
    lines = [f"{number}. {_clean(finding.found)} [{_clean(finding.code)}]"]
    parts = (("asked", finding.asked), ("cause", finding.cause), ("remedy", finding.remedy))
    lines += [f"  {label}: {_clean(text)}" for label, text in parts if text]
    lines += [f"  {name}: {value}" for name, value in as_rows(finding.evidence)]
    return lines + _table_lines(finding.evidence, "  ")


def _table_lines(facts: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for table in as_tables(facts):
        lines.append(f"{indent}{table.title} {', '.join(table.columns[1:])}")
        lines += [f"{indent}  {row[0]}: {' | '.join(row[1:])}" for row in table.rows]
    return lines


def as_json(examination: Examination) -> str:
    """The whole examination as strict JSON; numbers that are not finite are null."""
    return json_text(as_plain(examination))


def as_plain(examination: Examination) -> dict[str, Any]:
    """Mappings, lists, numbers and text alone, whatever the measurements are made of."""
    return {name: _plain(value) for name, value in examination.as_plain().items()}


def _plain(value: Any) -> Any:
    """Values that JSON knows; what it does not know is told as text."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [_plain(item) for item in sorted(value, key=str)]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def as_html_section(examination: Examination) -> str:
    """The whole examination as one ``<section>``: nothing is loaded, everything is escaped."""
    parts = ['<section class="examination">', _element("h2", heading_of(examination))]
    if examination.failure is not None:
        parts.append(_element("pre", examination.failure))
    parts += [_html_finding(finding) for finding in examination.findings]
    if examination.facts:
        parts += [_element("h3", "Measured"), _html_table(as_rows(examination.facts))]
        parts += _html_records(examination.facts)
    if examination.asked:
        questions = "".join(_element("li", question) for question in examination.asked)
        parts += [_element("h3", "Asked"), f"<ul>{questions}</ul>"]
    parts += [_element("p", closing_of(examination)), "</section>"]
    return "\n".join(parts)


def _element(tag: str, text: str) -> str:
    shown = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    return f"<{tag}>{html.escape(shown)}</{tag}>"


def _html_finding(finding: Finding) -> str:
    rows = [("asked", finding.asked), ("cause", finding.cause), ("remedy", finding.remedy),
            ("code", finding.code)]  # fmt: skip
    table = _html_table([row for row in rows if row[1]] + as_rows(finding.evidence))
    inside = "\n".join([_element("h3", finding.found), table, *_html_records(finding.evidence)])
    return f'<article class="finding">\n{inside}\n</article>'


def _html_records(facts: Mapping[str, Any]) -> list[str]:
    return [
        f"{_element('h4', table.title)}\n{_html_table([table.columns, *table.rows])}"
        for table in as_tables(facts)
    ]


def _html_table(rows: Sequence[Sequence[str]]) -> str:
    lines = (
        f"<tr>{_element('th', row[0])}{''.join(_element('td', cell) for cell in row[1:])}</tr>"
        for row in rows
    )
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def as_html_page(examinations: Sequence[Examination], *, title: str = "Examination") -> str:
    """A page that stands by itself, with one section per examination."""
    sections = "\n".join(as_html_section(examination) for examination in examinations)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"{_element('title', title)}\n<style>\n{_STYLE}\n</style>\n</head>\n"
        f"<body>\n{_element('h1', title)}\n{sections}\n</body>\n</html>\n"
    )
