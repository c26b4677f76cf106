"""Settings: every key and value is checked, and what is read back equals what was saved."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from deep.config import ExperimentConfig
from deep.errors import ConfigError
from deep.presets import PRESETS
from deep.settings import as_plain, checked, read_settings, with_overrides


def refused(match, text, tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=match) as error:
        read_settings(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_survive_json_and_yaml(name, tmp_path):
    preset = PRESETS[name]
    assert preset.name == name
    assert preset.title
    assert read_settings(name) is preset
    for dump in (json.dumps, yaml.safe_dump):
        path = tmp_path / "settings.yaml"
        path.write_text(dump(as_plain(preset)))
        assert read_settings(str(path)) == preset


def test_a_variant_can_be_made_on_the_command_line():
    preset = PRESETS["conv-fashion-mnist-cpu"]
    changes = ["variants.told.model.conditioning=input", "variants.told.model.encoder_gate=none",
               "variants.slow.training.optimiser.learning_rate=0.0001"]  # fmt: skip
    config = with_overrides(preset, changes)
    assert config.variants == {
        "told": {"model": {"conditioning": "input", "encoder_gate": "none"}},
        "slow": {"training": {"optimiser": {"learning_rate": 1e-4}}},
    }
    assert preset.variants == {}, "the preset is not touched"
    with pytest.raises(ConfigError, match=r"variant told.*colour"):
        with_overrides(preset, ["variants.told.model.colour=red"])


def test_partial_settings_take_defaults(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("name: mine\nbeta: {low: 0.1, high: 1e1}\nmodel:\n  hidden: [64, 32]\n")
    config = read_settings(str(path))
    assert config.beta.high == 10.0
    assert config.model.hidden == (64, 32)
    assert config.training == ExperimentConfig().training


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("trainin: {}", r"unknown key 'trainin'.*did you mean training\?"),
        ("training: {epoch: 3}", r"training\.epoch: got the unknown key.*did you mean epochs\?"),
        ("training: {optimiser: {lr: 3}}", "unknown key 'lr'.*expected one of name, learning_rate"),
        ("training: {epochs: 0}", "training.epochs: got 0"),
        ("training: {epochs: many}", "training.epochs: got 'many'"),
        ("training: {epochs: .nan}", "training.epochs: got nan"),
        ("beta: {low: -1}", "beta.low: got -1"),
        ("beta: {low: .inf}", "beta.low: got inf"),
        ("beta: {low: 3, high: 2}", "low < high"),
        ("beta: {draw: batch, per_sample: 2}", "a batch shares one β"),
        ("model: {kind: transformer}", "model.kind: got 'transformer'"),
        ("seeds: []", "seeds: got"),
        ("seeds: [-1]", "seeds.0: got -1"),
        ("name: ../../etc", "name: got"),
        ("- 1\n- 2", "got list; expected a mapping"),
        ("", "got NoneType; expected a mapping"),
        ("a: [1", "no YAML"),
        ("name: a\nname: b", "line 2: got the key 'name' twice"),
        ("beta: {low: 1, low: 2}", "the key 'low' twice"),
        ("!!python/object/apply:os.system ['true']", "no YAML"),
        (b"\xff\xfe\x00", "not UTF-8|no YAML"),
        ("{{{}}}: 1", "no YAML"),
        ("a: " + "[" * 5000, "no YAML"),
        ("x" * 1_000_001, "1000001 bytes"),
    ],
)
def test_bad_files_are_refused_in_one_line(text, match, tmp_path):
    refused(match, text, tmp_path)


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="name of a preset or of a YAML file"):
        read_settings(str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError):
        read_settings(str(tmp_path))


def test_overrides_change_one_key_each():
    base = ExperimentConfig()
    config = with_overrides(
        base, ["training.epochs=7", "training.optimiser.clip=1.5", "model.hidden=[8, 4]",
               "data.path=/some where", "training.sharpness=null"],
    )  # fmt: skip
    assert config.training.epochs == 7
    assert config.training.optimiser.clip == 1.5
    assert config.model.hidden == (8, 4)
    assert config.data.path == "/some where"
    assert config.training.batch_size == base.training.batch_size
    assert base.training.epochs == ExperimentConfig().training.epochs, "the original is untouched"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("training.epochs", "KEY=VALUE"),
        ("=3", "KEY=VALUE"),
        ("training.epoch=3", r"did you mean epochs\?"),
        ("trainig.epochs=3", r"did you mean training\?"),
        ("training.epochs.more=3", "unknown key 'epochs'"),
        ("training=3", "training: got 3"),
        ("training.epochs=[", "a value in YAML"),
        ("name=a b", "name: got 'a b'"),
    ],
)
def test_bad_overrides_are_refused_in_one_line(change, match):
    with pytest.raises(ConfigError, match=match) as error:
        with_overrides(ExperimentConfig(), [change])
    assert "\n" not in str(error.value)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*ExperimentConfig.model_fields, "epochs", "low", "x", ""]), inner,
        max_size=3),
    max_leaves=6,
))  # fmt: skip
def test_any_tree_is_settings_or_refused(tree):
    try:
        config = checked(tree, "settings")
    except ConfigError:
        return
    assert checked(as_plain(config), "settings") == config
