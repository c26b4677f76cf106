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
            value = yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError):
            fail("--set", repr(change), "a value in YAML", "quote it", ConfigError)
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
            f"{source}: {where}: got {first['input']!r}; {message}; change that value{rest}"
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


class _UniqueKeys(yaml.SafeLoader):
    """SafeLoader that does not silently take the last of two equal keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                fail(f"line {key_node.start_mark.line + 1}", f"the key {key!r} twice",
                     "each key once", "remove one", ConfigError)  # fmt: skip
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


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
        return yaml.load(text, Loader=_UniqueKeys)  # a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark is not None else ""
        fail(str(path), f"no YAML{line}", "a YAML text", "check indentation and quotes",
             ConfigError)  # fmt: skip
