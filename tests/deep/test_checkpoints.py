"""Checkpoints: what is written is read, damage is noticed, the newest and the best are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import safetensors.torch
from torch import nn

from deep.errors import CheckpointError, CheckpointWarning
from deep.training import checkpoints, files
from tests.deep import tiny

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool)


def _parts(step: int = 1) -> dict:
    odd = {str(d): torch.arange(6).reshape(2, 3).to(d) for d in DTYPES}
    odd |= {"number": torch.tensor(float(step)), "empty": torch.zeros(0, 3)}
    odd["strided"] = torch.arange(12.0).reshape(3, 4).T[::2]
    return {"model": odd, "optimiser": {"step.a": torch.tensor(3.0)}}


def _save(folder: Path, step: int, value: float | None = None, keep_last: int = 2) -> Path:
    return checkpoints.save(
        folder, step, _parts(step), {"note": [1, "ü"]}, value=value, keep_last=keep_last
    )


def _names(folder: Path) -> list[int]:
    return sorted(int(p.name[5:]) for p in (folder / "checkpoints").iterdir())


def test_what_is_saved_is_loaded(tmp_path):
    path = _save(tmp_path, 12, value=0.1)
    assert path == tmp_path / "checkpoints" / "step-00000012" == checkpoints.latest(tmp_path)
    found = checkpoints.load(path)
    assert (found.path, found.step, found.value) == (path, 12, 0.1)
    assert found.state == {"note": [1, "ü"]}
    want = _parts(12)
    assert found.parts.keys() == want.keys()
    for part, tensors in want.items():
        assert found.parts[part].keys() == tensors.keys()
        for name, tensor in tensors.items():
            got = found.parts[part][name]
            assert got.dtype == tensor.dtype
            assert got.shape == tensor.shape
            assert torch.equal(got, tensor)


def test_the_newest_and_the_best_are_kept(tmp_path):
    values = {1: 5.0, 2: 1.0, 3: 4.0, 4: 1.0, 5: None, 6: 3.0}
    kept = []
    for step, value in values.items():
        _save(tmp_path, step, value)
        kept.append(_names(tmp_path))
    assert kept == [[1], [1, 2], [2, 3], [2, 3, 4], [2, 4, 5], [2, 5, 6]]
    assert checkpoints.best(tmp_path).name == "step-00000002", "the earliest of equals"
    assert checkpoints.latest(tmp_path).name == "step-00000006"


def test_without_values_only_the_newest_are_kept(tmp_path):
    for step in range(8, 13):  # 9 and 10 sort by number, not as text
        _save(tmp_path, step, keep_last=3)
    assert _names(tmp_path) == [10, 11, 12]
    assert checkpoints.best(tmp_path) is None


def test_an_empty_folder_has_none(tmp_path):
    assert checkpoints.latest(tmp_path) is None
    assert checkpoints.best(tmp_path) is None
    assert checkpoints.newest_intact(tmp_path) is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-1").mkdir()  # not a name of ours
    assert checkpoints.latest(tmp_path) is None


def _truncate_text(path):
    path.write_bytes(path.read_bytes()[:-2])  # the last byte is a newline


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _remove(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_truncate, _flip, _remove, _empty])
@pytest.mark.parametrize("name", ["model.safetensors", "optimiser.safetensors", "state.json"])
def test_damage_is_noticed_and_the_one_before_is_used(tmp_path, name, damage):
    if name == "state.json" and damage is _truncate:
        damage = _truncate_text
    _save(tmp_path, 1)
    newest = _save(tmp_path, 2)
    damage(newest / name)
    with pytest.raises(CheckpointError):
        checkpoints.load(newest)
    with pytest.warns(CheckpointWarning, match=rf"{name}.*going on from step-00000001"):
        found = checkpoints.newest_intact(tmp_path)
    assert found.step == 1
    assert (tmp_path / "checkpoints" / ".damaged-step-00000002").is_dir(), "nothing is lost"
    assert checkpoints.newest_intact(tmp_path).step == 1


def test_every_byte_of_the_state_counts(tmp_path):
    path = _save(tmp_path, 1, value=2.0) / "state.json"
    whole = path.read_bytes()
    content = json.loads(whole)
    for key in ("step", "value", "format"):
        path.write_text(json.dumps({**content, key: 7}))
        with pytest.raises(CheckpointError):
            checkpoints.load(path.parent)
    path.write_text(json.dumps({**content, "files": {}}))
    with pytest.raises(CheckpointError):
        checkpoints.load(path.parent)
    path.write_bytes(whole)
    assert checkpoints.load(path.parent).step == 1


def test_damage_everywhere_is_an_error_and_moves_nothing(tmp_path):
    for step in (1, 2):
        _flip(_save(tmp_path, step) / "model.safetensors")
    with pytest.raises(CheckpointError, match="only damaged"):
        checkpoints.newest_intact(tmp_path)
    assert _names(tmp_path) == [1, 2]


def test_another_format_is_refused(tmp_path):
    path = _save(tmp_path, 1)
    content = files.read_sealed(path / "state.json")
    (path / "state.json").write_bytes(files.sealed({**content, "format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        checkpoints.load(path)


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path):
    _save(tmp_path, 4, value=1.0)
    _save(tmp_path, 4, value=2.0)
    assert checkpoints.load(checkpoints.latest(tmp_path)).value == 2.0
    assert _names(tmp_path) == [4]


def test_leftovers_are_swept_and_others_files_are_not(tmp_path):
    root = tmp_path / "checkpoints"
    for name in (".writing-step-00000003", ".removing-step-00000001", ".damaged-step-00000002"):
        (root / name).mkdir(parents=True)
        (root / name / "model.safetensors").write_bytes(b"half")
    (tmp_path / ".writing-result.json").write_bytes(b"half")
    (tmp_path / ".notes").write_text("mine")
    files.sweep(tmp_path)
    files.sweep(root)
    assert {p.name for p in root.iterdir()} == {".damaged-step-00000002"}
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoints", ".notes"}


# -- weights ---------------------------------------------------------------------------------------


def test_weights_of_a_run_and_of_a_checkpoint(tmp_path):
    trained, scale = tiny.Tiny(), tiny.Scale()
    tiny.run(tmp_path, model=trained, objective=scale)
    for folder in (tmp_path, checkpoints.latest(tmp_path)):
        again, own = tiny.Tiny(), tiny.Scale()
        checkpoints.load_weights(folder, again)
        checkpoints.load_weights(folder, own, part="objective")
        assert again.again is again.decoder
        for name, tensor in trained.state_dict().items():
            assert torch.equal(again.state_dict()[name], tensor), name
        assert torch.equal(own.log_scale, scale.log_scale)
        assert float(own.log_scale.detach()) != 0
    wide = tiny.Tiny().double()
    checkpoints.load_weights(tmp_path, wide)
    assert torch.equal(wide.heads.weight, trained.heads.weight.double())


def test_weights_that_do_not_fit_are_refused_and_nothing_is_changed(tmp_path):
    tiny.run(tmp_path, model=tiny.Tiny(width=6))
    other = tiny.Tiny(width=5)
    before = {n: t.clone() for n, t in other.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"another model.*shape .6, 4., the model .5, 4."):
        checkpoints.load_weights(tmp_path, other)
    assert all(torch.equal(t, before[n]) for n, t in other.state_dict().items())
    with pytest.raises(CheckpointError, match="missing"):
        checkpoints.load_weights(tmp_path, nn.Sequential(nn.Linear(4, 6)))
    with pytest.raises(CheckpointError, match="float32, the model"):
        checkpoints.load_weights(tmp_path, tiny.Tiny(width=6).bfloat16())


def test_weights_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(CheckpointError, match="train first"):
        checkpoints.load_weights(tmp_path, tiny.Tiny())
    _save(tmp_path, 3)
    with pytest.raises(CheckpointError, match="step-00000003"):
        checkpoints.load_weights(tmp_path, tiny.Tiny())
    tiny.run(tmp_path / "run")
    _flip(tmp_path / "run" / "model.safetensors")
    with pytest.raises(CheckpointError, match="another checksum"):
        checkpoints.load_weights(tmp_path / "run", tiny.Tiny())


def test_state_that_is_no_tensor_is_refused():
    class Odd(nn.Linear):
        def get_extra_state(self):
            return {"a": 1}

    with pytest.raises(CheckpointError, match="_extra_state of type dict"):
        checkpoints.tensors_of(Odd(2, 2))


def test_differences_are_named_by_their_keys():
    old = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "e": True}
    assert checkpoints.differences(old, json.loads(json.dumps(old))) == []
    assert checkpoints.differences(1, 1.0, "x") == []
    new = {"a": 2, "b": {"c": [1, 2]}, "e": 1, "f": None}
    assert checkpoints.differences(old, new) == [
        "a was 1, now 2",
        "b.d was 'x', now absent",
        "e was True, now 1",
        "f was absent, now None",
    ]


def test_no_pickle_anywhere(tmp_path):
    """Neither in the code of the engine nor in what it writes."""
    for path in Path(files.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for word in ("import pickle", " torch.save(", " torch.load(", "fabric.save(", "joblib"):
            assert word not in text, path
    tiny.run(tmp_path)
    written = [p for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock"]
    assert {p.suffix for p in written} == {".json", ".jsonl", ".safetensors"}
    for path in written:
        if path.suffix == ".safetensors":
            assert safetensors.torch.load(path.read_bytes())
        else:
            assert [json.loads(line) for line in _values(path)]


def _values(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return text.splitlines() if path.suffix == ".jsonl" else [text]
