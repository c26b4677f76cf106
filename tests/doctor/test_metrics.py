"""Metrics right and wrong: every fault is named, and nothing is found in a right one."""

from __future__ import annotations

import json
import random
import warnings

import numpy as np
import pytest

from linvae.doctor.metrics import METRICS, _match, examine_metric
from linvae.doctor.metrics._texts import INFORMATION
from linvae.errors import InputError, InputTypeError

from .clinic import metrics as clinic


def codes(examination):
    assert examination.failure is None, examination.failure
    return [finding.code for finding in examination.findings]


@pytest.mark.parametrize("name", clinic.RIGHT)
def test_nothing_is_found_in_a_right_metric(name):
    metric, options = clinic.RIGHT[name]
    assert codes(examine_metric(metric, seed=len(name) % 5, **options)) == []


@pytest.mark.parametrize("name", clinic.FAULTY)
def test_the_fault_is_named(name):
    metric, options, code = clinic.FAULTY[name]
    found = examine_metric(metric, seed=len(name) % 5, **options)
    assert codes(found) == [code]
    (finding,) = found.findings
    assert found.exit_code == 1
    assert finding.cause
    assert finding.remedy
    assert any(name.startswith("exact") for name in finding.evidence)
    json.dumps(found.as_plain())


# Cheap ones over 20 seeds; the others take the seeds in turn above.
CHEAP = ("au_variance", "au_std", "iw_weights", "iw_without_log_k", "fd_moments", "fd_no_root")


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP)
def test_the_verdict_does_not_hang_on_the_seed(name):
    metric, options, *code = (*clinic.RIGHT.get(name, ()), *clinic.FAULTY.get(name, ()))
    wrong = [s for s in range(20) if codes(examine_metric(metric, seed=s, **options)) != code]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mi_gaussian", "mi_broadcast", "tc_gaussian", "tc_negative"])
def test_the_verdict_on_noisy_metrics_does_not_hang_on_the_seed(name):
    metric, options, *code = (*clinic.RIGHT.get(name, ()), *clinic.FAULTY.get(name, ()))
    for seed in (7, 8):
        assert codes(examine_metric(metric, seed=seed, **options)) == code


def test_the_clinic_is_large_enough_and_covers_every_metric():
    assert len(clinic.FAULTY) >= 10
    assert len(clinic.RIGHT) >= 6
    for entries in (clinic.RIGHT, clinic.FAULTY):
        assert {entry[1]["what"] for entry in entries.values()} == set(METRICS)


def test_bias_and_standard_error_stand_in_the_facts():
    facts = examine_metric(clinic.mi_minibatch, "mutual_information").facts
    bias = facts["bias"]
    assert len(bias["sizes"]) == len(bias["bias"]) == len(bias["standard_error"]) == 4
    strong = facts["much_information"]
    assert strong["exact"] > strong["log_size"][-1]
    assert strong["cannot_exceed_log_size"]
    np.testing.assert_allclose(strong["returned"], strong["log_size"], atol=0.4)
    assert not examine_metric(clinic.mi_gaussian, "mutual_information").facts["much_information"][
        "cannot_exceed_log_size"
    ]


def test_the_bias_of_a_frechet_distance_falls_like_one_over_n():
    facts = examine_metric(clinic.fd_samples, "frechet_distance").facts
    fit = facts["bias_of_equal_distributions"]
    bias, error = np.array(fit["bias"]), np.array(fit["standard_error"])
    assert (bias > 5 * error).all()
    law = fit["bias_times_size"] / np.array(fit["sizes"])
    assert (np.abs(bias - law) < 5 * error).all()
    rooted = examine_metric(clinic.fd_unsquared, "frechet_distance").facts
    assert rooted["bias_of_equal_distributions"]["bias_times_size"] == pytest.approx(
        fit["bias_times_size"], rel=0.1
    )


def test_a_metric_that_always_returns_log_n_is_not_taken_for_one_that_saturates():
    found = examine_metric(clinic.mi_broadcast, "mutual_information")
    assert abs(found.facts["bias"]["slope_in_log_size"] - 1) < 1e-3


def test_conventions_are_facts_not_findings():
    assert "square" in examine_metric(clinic.fd_unsquared, "frechet_distance").facts["convention"]
    loss = examine_metric(clinic.iw_loss, "importance_weighted_bound")
    assert "negative and summed" in loss.facts["convention"]
    layout = examine_metric(clinic.iw_rows_are_samples, "importance_weighted_bound")
    assert "(K, N)" in layout.facts["convention"]
    share = examine_metric(clinic.au_share, "active_units").facts
    assert share["returns"] == "a share of the latents"
    columns = examine_metric(clinic.mig_columns, "mig").facts
    assert columns["layout"] == "one row per factor and per code"
    means = examine_metric(clinic.tc_of_mean_codes, "total_correlation").facts
    assert "posterior means" in means["computed"]
    assumed = examine_metric(clinic.mi_gaussian, "mutual_information").facts
    assert assumed["passed"] == ["mean", "log_var"]


def test_the_divisor_of_the_covariances_is_read():
    assert examine_metric(clinic.fd_samples, "frechet_distance").facts["ddof"] == 1
    assert examine_metric(clinic.fd_unsquared, "frechet_distance").facts["ddof"] == 0


def test_the_threshold_is_read_and_held_against_the_declared_one():
    facts = examine_metric(clinic.au_pair, "active_units").facts
    assert facts["declared_threshold"] == 0.02
    assert facts["effective_threshold_on_variance"] == pytest.approx(0.02, rel=0.1)

    def ignores(mean, threshold=0.01):
        return (mean.var(axis=0) > 0.2).sum()

    assert codes(examine_metric(ignores, "active_units")) == ["au-threshold-not-applied"]


def test_the_chain_of_bounds_stands_in_the_facts():
    facts = examine_metric(clinic.iw_model, "importance_weighted_bound").facts
    for number in (1, 2, 3):
        part = facts[f"problem {number}"]
        assert part["elbo"] < part["expected"][1] < part["expected"][2] < part["log_likelihood"]


def test_unknown_mistakes_are_described_by_their_shape():
    def scaled(mean, log_var, z):
        return 1.7 * clinic.mi_minibatch(mean, log_var, z)

    def shifted(log_weights):
        return clinic.iw_weights(log_weights) + 0.37

    def constant(x, y):
        return 4.2

    def broken(mean, log_var, z):
        return float("nan")

    def senseless(x, y):
        return float(np.abs(x).max() + 3 * y.min())

    assert codes(examine_metric(scaled, "mutual_information")) == ["mi-scaled"]
    assert codes(examine_metric(shifted, "importance_weighted_bound")) == ["iw-shifted"]
    assert codes(examine_metric(constant, "frechet_distance")) == ["fd-constant"]
    assert codes(examine_metric(broken, "mutual_information")) == ["mi-not-finite"]
    assert codes(examine_metric(senseless, "frechet_distance")) == ["fd-wrong"]
    factor = examine_metric(scaled, "mutual_information").findings[0].evidence["factor"]
    assert factor == pytest.approx(1.7, rel=0.03)


def test_what_their_code_raises_or_returns_is_theirs():
    def raises(mean, log_var):
        raise KeyError("nothing here")

    def returns_text(mean):
        return "many"

    def returns_matrix(x, y):
        return x.T @ y

    def unknown(a, b, c, d, e, f, g):
        return 0.0

    def nothing(factors, codes):
        return None

    for metric, what, words in (
        (raises, "mutual_information", "KeyError"),
        (returns_text, "active_units", "active_units"),
        (returns_matrix, "frechet_distance", "shape"),
        (unknown, "mig", "unknown meaning"),
        (nothing, "mig", "None"),
        (lambda model, x: 0.0, "importance_weighted_bound", "n_samples"),
    ):
        found = examine_metric(metric, what)
        assert found.exit_code == 2
        assert words in (found.failure or "")


def test_wrong_calls_are_refused_in_one_line():
    with pytest.raises(InputError, match="what: got 'fid'; expected mutual_information"):
        examine_metric(clinic.fd_samples, "fid")
    with pytest.raises(InputTypeError, match="metric: got float"):
        examine_metric(1.0, "mig")
    with pytest.raises(InputError, match="seed"):
        examine_metric(clinic.fd_samples, "frechet_distance", seed=-1)


def test_parameters_go_by_name_in_any_order_and_their_defaults_are_left_alone():
    def shuffled(logvar, bins=5, *, z_mean):
        assert bins == 5
        return clinic.mi_gaussian(z_mean, logvar)

    found = examine_metric(shuffled, "mutual_information")
    assert codes(found) == []
    assert found.facts["passed"] == ["log_var", "mean"]

    def by_place(first, second):
        return clinic.fd_samples(first, second)

    assert codes(examine_metric(by_place, "frechet_distance")) == []

    class Callable:
        def __call__(self, *arrays):
            return clinic.mi_minibatch(*arrays)

    assert codes(examine_metric(Callable(), "mutual_information", subject="mine")) == []


def test_inputs_are_copies_and_nothing_outside_is_changed(capsys):
    def rude(mean):
        count = (mean.var(axis=0) > 0.01).sum()
        mean[:] = 0
        print("noise")
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        warnings.simplefilter("always")
        return count

    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = (random.getstate(), np.random.get_state()[1].tolist(), list(warnings.filters))  # noqa: NPY002
    assert codes(examine_metric(rude, "active_units")) == []
    after = (random.getstate(), np.random.get_state()[1].tolist(), list(warnings.filters))  # noqa: NPY002
    assert before == after
    assert capsys.readouterr().out == ""


def test_the_same_seed_gives_the_same_examination():
    first = examine_metric(clinic.iw_model, "importance_weighted_bound", seed=3)
    again = examine_metric(clinic.iw_model, "importance_weighted_bound", seed=3)
    assert first.facts == again.facts
    other = examine_metric(clinic.iw_model, "importance_weighted_bound", seed=4)
    assert first.facts != other.facts


def test_metrics_of_tensors_are_examined_through_convert():
    torch = pytest.importorskip("torch")

    def active(mean):
        assert isinstance(mean, torch.Tensor)
        return (mean.var(dim=0) > 0.01).sum()

    def bound(log_weights):
        count = torch.tensor(float(log_weights.shape[1]))
        return (torch.logsumexp(log_weights, 1) - torch.log(count)).mean().requires_grad_()

    assert codes(examine_metric(active, "active_units", convert=torch.from_numpy)) == []
    found = examine_metric(bound, "importance_weighted_bound", convert=torch.from_numpy)
    assert codes(found) == []


@pytest.mark.parametrize(("seed", "factor"), [(0, 1.0), (1, 2.0)])
def test_a_multiple_is_named_only_where_it_is_one(seed, factor):
    """The rate is up to 1.9 times the information, never in a constant ratio."""

    rate = clinic.FAULTY["mi_rate"][0]

    def between(mean, log_var, z):
        exact = clinic.mi_minibatch(mean, log_var, z)
        return exact + 0.25 * factor * (rate(mean, log_var) - exact)

    found = codes(examine_metric(between, "mutual_information", seed=seed))
    assert not set(found) & {"mi-in-bits", "mi-half-missing", "mi-scaled", "mi-shifted"}
    assert len(found) == 1


def test_explanations_that_agree_are_all_in_the_cause():
    case = _match.Case("mi", "asked?", ("a", "b"), np.ones(2), np.full(2, 3.0), np.ones(2))
    guesses = [
        _match.Guess("", np.ones(2)),
        _match.Guess("mi-sign", np.full(2, 3.0)),
        _match.Guess("mi-in-bits", np.full(2, 3.01)),
        _match.Guess("mi-is-rate", np.full(2, 3.9)),
    ]
    _, found = _match.diagnose(case, guesses, INFORMATION)
    assert found.code == "mi-sign"
    assert found.cause.split("; or ") == [INFORMATION["mi-sign"][1], INFORMATION["mi-in-bits"][1]]
