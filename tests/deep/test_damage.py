"""Every byte of small files changed and every length cut: refused or read as written."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from deep.errors import CheckpointError, CheckpointWarning
from deep.training import checkpoints
from deep.training.files import read_sealed, sealed
from deep.training.history import History, HistoryFile
from deep.training.run_folder import RunFolder, identity
from tests.deep import tiny

# The last bit, the case of a letter, a digit made an "e", and what is no text any more.
PATTERNS = (0x01, 0x20, 0x55, 0x80)
WAYS = len(PATTERNS) + 1  # to damage a byte; the last is to cut there


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """Thousands of small files need not reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def _damaged(data: bytes, patterns: tuple[int, ...] = PATTERNS) -> Iterator[bytes]:
    """The file with one byte changed, at every place, and cut to every length."""
    for place in range(len(data)):
        for pattern in patterns:
            yield data[:place] + bytes([data[place] ^ pattern]) + data[place + 1 :]
    for length in range(len(data)):
        yield data[:length]


def _refused_or_as_written(path: Path, read: Callable[[], object], same: Callable) -> int:
    """Damage a file in every way, put it back, and return how often it was refused."""
    whole, refused, messages = path.read_bytes(), 0, set()
    for data in _damaged(whole):
        path.write_bytes(data)
        try:
            found = read()
        except CheckpointError as error:
            messages.add(str(error))
            refused += 1
        else:
            assert same(found), f"{path.name} was read as something else from {data!r}"
    assert all(message.startswith(str(path)) for message in messages | {str(path)}), messages
    path.write_bytes(whole)
    assert same(read())
    return refused


def _same_parts(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        one[part].keys() == other[part].keys()
        and all(
            one[part][n].dtype == t.dtype
            and one[part][n].numpy().tobytes() == t.numpy().tobytes()
            and one[part][n].shape == t.shape
            for n, t in other[part].items()
        )
        for part in other
    )


@pytest.mark.slow
def test_every_byte_and_every_length_of_a_checkpoint(tmp_path):
    parts = {
        "model": {"w": torch.tensor([[0.1, -2.0]]), "s": torch.tensor(3.0)},
        "optimiser": {"step": torch.tensor(7)},
    }
    state = {"seconds": 12.3456, "records": 2, "versions": {"torch": "2"}, "data": [1e-5, -0.0]}
    path = checkpoints.save(tmp_path, 7, parts, state, value=0.25)

    def same(found: checkpoints.Checkpoint) -> bool:
        about = (found.step, found.value, found.state) == (7, 0.25, state)
        return about and _same_parts(found.parts, parts)

    for name in ("model.safetensors", "optimiser.safetensors", "state.json"):
        size = (path / name).stat().st_size
        refused = _refused_or_as_written(path / name, lambda: checkpoints.load(path), same)
        if name != "state.json":
            assert refused == WAYS * size, "SHA-256 of the whole file"
        else:  # the last line end may be cut, and 1E-05 is 1e-05
            assert refused == WAYS * size - 2


@pytest.fixture
def unfinished(tmp_path) -> Path:
    """A run with checkpoints, history and configuration, ended by an error in its ninth step."""

    def stop(_) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        tiny.run(tmp_path, objective=tiny.At(9, stop), config={"name": "x", "sizes": [1, 20.5]})
    assert (tmp_path / "checkpoints" / "step-00000008").is_dir()
    return tmp_path


def _folder(path: Path) -> RunFolder:
    plan, config = tiny.plan(), {"name": "x", "sizes": [1, 20.5]}
    what = identity(tiny.Tiny(), tiny.Scale(), tiny.batches(), plan, 11, config)
    return RunFolder(path, what, tiny.batches(), plan, 11)


def test_every_byte_of_a_configuration(unfinished):
    """Refused where it says another thing; written anew, with a warning, where it is no JSON."""
    folder, path = _folder(unfinished), unfinished / "config.json"
    whole = path.read_bytes()
    versions = checkpoints.load(checkpoints.latest(unfinished)).state["versions"]
    outcomes, messages, ways = {"refused": 0, "anew": 0, "same": 0}, set(), 0
    for data in _damaged(whole, (0x01, 0x55, 0x80)):
        ways += 1
        path.write_bytes(data)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                checkpoint, result = folder.begin(resume=True, versions=versions)
            except CheckpointError as error:
                outcomes["refused"] += path.read_bytes() == data  # it is not overwritten
                messages.add(str(error).partition(":")[0])
                continue
        assert (checkpoint.step, result) == (8, None)
        assert json.loads(path.read_bytes()) == json.loads(whole)
        if said:
            assert [w.category for w in said] == [CheckpointWarning]
            assert "no JSON" in str(said[0].message)
        outcomes["anew" if said else "same"] += 1
    assert all(outcomes.values()), outcomes
    assert sum(outcomes.values()) == ways
    assert messages == {"config.json"}


@pytest.mark.slow
def test_every_byte_of_a_history(unfinished):
    """It holds no weights: a damaged line is left out, with a warning; nothing else is raised."""
    path = unfinished / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)[:2]
    whole = b"".join(lines)
    path.write_bytes(whole)
    written = History.read(path).records
    warned = 0
    for data in _damaged(whole, (0x01, 0x55)):
        path.write_bytes(data)
        try:
            strict = History.read(path).records
        except CheckpointError:
            strict = None
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            file = HistoryFile(path, step=2, count=2)
            found = file.history().records
            file.close()
        assert {w.category for w in said} <= {CheckpointWarning}
        assert len(found) == 2 or said, "a missing record is not passed over"
        assert strict is None or len(strict) >= len(found)
        assert all(math.isfinite(v) for r in found for v in vars(r).values())
        if said:
            warned += 1
        assert sum(r not in written for r in found) <= 1, "a changed number of one line"
        assert History.read(path).records == found, "the file holds what the run goes on with"
    assert warned > len(whole)


def test_every_byte_of_a_result(tmp_path):
    trained = tiny.Tiny()
    tiny.run(tmp_path, model=trained, settings=tiny.plan(1))
    path = tmp_path / "result.json"
    content = {k: v for k, v in read_sealed(path).items() if k not in ("run", "data")}
    small = tmp_path / "small.json"
    small.write_bytes(sealed(content))
    size = small.stat().st_size
    refused = _refused_or_as_written(small, lambda: read_sealed(small), content.__eq__)
    # The last line end may be missing; a last digit changed may give the same number.
    assert WAYS * size - 4 < refused < WAYS * size


def test_a_damaged_result_or_weights_are_made_again(tmp_path):
    """From the newest checkpoint, to the same bytes."""
    settings = tiny.plan(1)
    tiny.run(tmp_path, settings=settings)
    whole = {n: (tmp_path / n).read_bytes() for n in ("result.json", "model.safetensors")}
    for name, data in whole.items():
        for place in (0, len(data) // 3, len(data) - 2):
            changed = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
            (tmp_path / name).write_bytes(changed)
            with pytest.warns(CheckpointWarning, match=f"{name}.*going on from the newest"):
                assert tiny.run(tmp_path, settings=settings).status == "finished"
            assert (tmp_path / "model.safetensors").read_bytes() == whole["model.safetensors"]
            assert read_sealed(tmp_path / "result.json")["files"]


@pytest.mark.parametrize(
    "text",
    ["[]", "7", "null", "{}", '{"checksum": 1}', '{"a": 1e999, "checksum": ""}', "[" * 10**5],
)
def test_json_of_other_kinds_is_refused(tmp_path, text):
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(CheckpointError, match="use another checkpoint"):
        read_sealed(path)


def test_a_sealed_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "state.json").write_bytes(sealed({"format": 1, "step": 3}))
    with pytest.raises(CheckpointError, match="without files, state, value"):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("name", ["state.json", "model.safetensors"])
def test_a_folder_in_place_of_a_file_is_refused(tmp_path, name):
    path = checkpoints.save(tmp_path, 1, {"model": {"w": torch.ones(1)}}, {})
    (path / name).unlink()
    (path / name).mkdir()
    with pytest.raises(CheckpointError, match="use another checkpoint"):
        checkpoints.load(path)
