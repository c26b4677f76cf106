"""Reading settings: YAML files, presets, and single keys given on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from deep._checks import fail
from deep.config import ExperimentConfig
from deep.errors import ConfigError
from deep.presets import PRESETS

__all__ = ["as_plain", "checked", "read_settings", "with_overrides"]

_FREE = "variants"  # a section whose keys are names that the user gives
_MOST_BYTES = 1_000_000  # a configuration is a page of text
_LARGEST = 2**63
_DEEPEST = 50
_LONGEST = 200  # characters of a value in a message


def read_settings(source: str) -> ExperimentConfig:
    """Settings of a preset, or of a YAML (or JSON) file.

    Raises
    ------
    ConfigError
        Neither a preset nor a readable file, not YAML, a key given twice, an unknown key, a value
        of the wrong kind.
    """
    if source in PRESETS:
        return PRESETS[source]
    path = Path(source)
    if not _is_file(path):
        close = difflib.get_close_matches(source, PRESETS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"presets: {', '.join(PRESETS)}"
        fail("settings", repr(source), "the name of a preset or of a YAML file", hint, ConfigError)
    return checked(_parse(path), str(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name no file can have
        return False


def with_overrides(config: ExperimentConfig, changes: Sequence[str]) -> ExperimentConfig:
    """Settings with single keys changed, each as ``section.key=value``; values are YAML.

    Raises
    ------
    ConfigError
        A text of another form, an unknown key, a value of the wrong kind.
    """
    plain = config.model_dump()
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key.strip():
            fail("--set", repr(change), "KEY=VALUE such as training.epochs=5", "write it so",
                 ConfigError)  # fmt: skip
        try:
            value = _yaml(text)
        except _NotYamlError:
            fail("--set", _shown(change), "a value in YAML", "quote it", ConfigError)
        *sections, last = key.strip().split(".")
        place: Any = plain
        for depth, section in enumerate(sections):
            if sections[0] == _FREE and depth:  # names and contents of variants are free
                place.setdefault(section, {})
            inner = place.get(section)
            if not isinstance(inner, dict):
                known = [k for k, v in place.items() if isinstance(v, dict)]
                where = ".".join(sections[: depth + 1])
                _refuse_key(where, section, known, "--set")
            place = inner
        place[last] = value
    return checked(plain, "--set")


def checked(plain: Any, source: str) -> ExperimentConfig:
    """Settings from plain mappings, every key and value checked.

    Raises
    ------
    ConfigError
        The first thing wrong, with its place and what is known there.
    """
    if not isinstance(plain, Mapping):
        fail(source, type(plain).__name__, "a mapping of sections", "write `name: ...` and so on",
             ConfigError)  # fmt: skip
    try:
        return ExperimentConfig.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        if first["type"] == "extra_forbidden":
            _refuse_key(where, str(first["loc"][-1]), _known_keys(first["loc"][:-1]), source)
        message = first["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        if not first["loc"]:  # of several sections together; the message says all of it
            raise ConfigError(f"{source}: {message}") from None
        more = error.error_count() - 1
        rest = f" (and {more} more)" if more else ""
        raise ConfigError(
            f"{source}: {where}: got {_shown(first['input'])}; {message}; change that value{rest}"
        ) from None


def as_plain(config: ExperimentConfig) -> dict[str, Any]:
    """Settings as plain values that JSON and YAML can hold."""
    return config.model_dump(mode="json")


def _known_keys(place: Sequence[int | str]) -> list[str]:
    model: Any = ExperimentConfig
    for part in place:
        model = model.model_fields[str(part)].annotation
    return list(model.model_fields) if issubclass(model, BaseModel) else []


def _refuse_key(where: str, key: str, known: list[str], source: str) -> None:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "remove it"
    fail(f"{source}: {where}", f"the unknown key {key!r}", f"one of {', '.join(known)}", hint,
         ConfigError)  # fmt: skip


def _shown(value: Any) -> str:
    """Text of a value, printable and of one line's length."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # Python writes no integers of over 4300 digits
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


class _NotYamlError(ValueError):
    """Text that is no YAML, or holds values that cannot be made."""


class _Settings(yaml.SafeLoader):
    """SafeLoader that refuses equal keys, and aliases that make much of little.

    An alias stands for all that its anchor holds. Ten lines of ten aliases each would be ten
    billion values; what is written out is counted before anything is made of it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._count = 0
        self._sizes: dict[int, int] = {}  # of the nodes so far, everything written out

    def fetch_flow_collection_start(self, token: Any) -> None:
        """The scanner looks at every open bracket at every token: few may be open at once."""
        if self.flow_level >= _DEEPEST:
            raise yaml.MarkedYAMLError(problem="brackets", problem_mark=self.get_mark())
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        alias, before = self.check_event(yaml.AliasEvent), self._count
        node = super().compose_node(parent, index)
        if alias and id(node) not in self._sizes:
            fail("settings", "an alias inside of what it stands for", "a value that ends",
                 "write the value out", ConfigError)  # fmt: skip
        if alias:
            self._count += self._sizes[id(node)]
        else:
            self._count += 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
            self._sizes[id(node)] = self._count - before
        if self._count > _MOST_BYTES:
            fail("settings", f"aliases that stand for more than {_MOST_BYTES} characters",
                 "a page of settings", "write the values out", ConfigError)  # fmt: skip
        return node

    def construct_whole(self, node: yaml.ScalarNode) -> int:
        """Integers of 64 bits: Python neither writes nor converts those of thousands of digits."""
        value = self.construct_yaml_int(node) if len(node.value) <= _LONGEST else _LARGEST
        if not abs(value) < _LARGEST:
            fail(f"line {node.start_mark.line + 1}", "an integer of over 63 bits",
                 "a number that a setting can have", "write a smaller one",
                 ConfigError)  # fmt: skip
        return int(value)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                fail(f"line {key_node.start_mark.line + 1}", f"the key {_shown(key)} twice",
                     "each key once", "remove one", ConfigError)  # fmt: skip
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


_Settings.add_constructor("tag:yaml.org,2002:int", _Settings.construct_whole)


def _parse(path: Path) -> Any:
    try:
        if path.stat().st_size > _MOST_BYTES:
            fail(str(path), f"{path.stat().st_size} bytes", "a page of settings",
                 "name the settings, not the data", ConfigError)  # fmt: skip
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        fail(str(path), error.strerror or error, "a readable file", "check it", ConfigError)
    except UnicodeDecodeError:
        fail(str(path), "bytes that are not UTF-8", "a YAML text", "save it as UTF-8", ConfigError)
    try:
        return _yaml(text)
    except _NotYamlError as error:
        fail(str(path), f"no YAML{error}", "a YAML text", "check indentation and quotes",
             ConfigError)  # fmt: skip


def _yaml(text: str) -> Any:
    """The value of a YAML text; of an error what it says is the place."""
    try:
        return yaml.load(text, Loader=_Settings)  # a SafeLoader
    except ConfigError:
        raise
    except Exception as error:  # of dates and numbers that there are not, half a dozen kinds
        mark = getattr(error, "problem_mark", None)
        raise _NotYamlError(f" in line {mark.line + 1}" if mark is not None else "") from error
