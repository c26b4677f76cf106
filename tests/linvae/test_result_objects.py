"""Results cannot be changed, can be hashed, and survive pickles and copies with every bit."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, is_dataclass

import numpy as np
import pytest

import linvae as lv
from tests.linvae.result_objects import OPTIONS, bits, one_of_each, parts, spectrum

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def _objects(value):
    """Every object of linvae in a value, with the containers taken apart."""
    if isinstance(value, list | tuple):
        return [found for item in value for found in _objects(item)]
    if isinstance(value, dict):
        return _objects(list(value.values()))
    if not type(value).__module__.startswith("linvae"):
        return []
    return [value, *_objects(list(vars(value).values()))]


@pytest.fixture(scope="module")
def objects():
    found = _objects(one_of_each())
    assert len({type(value) for value in found}) > 30
    return found


def test_fields_cannot_be_set_and_arrays_cannot_be_written_to(objects):
    for value in objects:
        if not is_dataclass(value):
            continue
        for field in fields(value):
            with pytest.raises(FrozenInstanceError):
                setattr(value, field.name, None)
            held = getattr(value, field.name)
            if isinstance(held, np.ndarray):
                assert not held.flags.writeable, (type(value).__name__, field.name)


def test_curves_hand_out_nothing_that_can_change_them():
    for curve in (
        lv.Frontier(spectrum(), **OPTIONS),
        lv.CalibratedFrontier(spectrum(), latent_dim=2),
    ):
        before = bits(curve.at_beta([0.3, 1.0]))
        critical = np.asarray(curve.critical_betas)
        if critical.flags.writeable:
            critical[:] = 7.0
        for name in ("latent_dim", "critical_betas"):
            with pytest.raises(AttributeError):
                setattr(curve, name, 1)
        assert bits(curve.at_beta([0.3, 1.0])) == before


def test_results_do_not_follow_the_arrays_they_were_made_of():
    values, mean = np.array([3.0, 2.0, 1.0]), np.zeros(3)
    made = lv.Spectrum.from_eigenvalues(values, mean=mean)
    E, c, D = np.ones((2, 3)), np.ones(2), np.ones((3, 2))
    model = lv.LinearVAE(E, c, D, 0.5, encoder_offset=mean)
    before = bits([made, model])
    for array in (values, mean, E, c, D):
        array[...] = 9.0
    assert bits([made, model]) == before


def test_everything_has_a_hash(objects):
    for value in objects:
        assert hash(value) == hash(value)
        assert len({value, value}) == 1


def test_equal_records_have_equal_hashes(objects):
    """Records of numbers and text compare by value; what holds arrays is equal to itself only."""
    seen = set()
    for value in objects:
        other = pickle.loads(pickle.dumps(value))
        if value == other:
            assert hash(value) == hash(other), type(value).__name__
            seen.add(type(value).__name__)
    assert {"Check", "Certificate", "Segment", "BetaRange", "Finding", "Examination"} <= seen


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickles_bring_back_every_bit(objects, protocol):
    for value in objects:
        other = pickle.loads(pickle.dumps(value, protocol))
        assert type(other) is type(value)
        assert bits(other) == bits(value)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_copies_have_every_bit(objects, again):
    for value in objects:
        assert bits(again(value)) == bits(value)


# Theirs are plain dataclasses in a file whose text is bound to the results of the mutation tests.
_UNSEALED = {"Hypernetwork", "GatedLayer"}


@pytest.mark.parametrize("again", [lambda v: pickle.loads(pickle.dumps(v, 4)), copy.deepcopy])
def test_pickles_and_copies_cannot_be_written_to_either(objects, again):
    for value in objects:
        if not is_dataclass(value) or type(value).__name__ in _UNSEALED:
            continue
        other = again(value)
        held = [getattr(other, f.name) for f in fields(other)]
        assert not any(a.flags.writeable for a in held if isinstance(a, np.ndarray)), type(value)


def test_a_used_curve_pickles_like_an_unused_one(objects):
    """What was computed on the way is a matter of the object, not of its value."""
    curve = lv.Frontier(spectrum(), **OPTIONS)
    unused = bits(curve)
    curve.at_beta(np.geomspace(0.01, 10, 100))
    assert bits(pickle.loads(pickle.dumps(curve))) == unused
    assert len(list(parts(objects))) > 300
