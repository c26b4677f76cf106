"""Losses that adapters hand over: gradients, draws, parameters named otherwise, two terms."""

from __future__ import annotations

import numpy as np
import pytest

from linvae.doctor.loss import examine_loss

torch = pytest.importorskip("torch")

from deep.adapters import adapt  # noqa: E402

from .loss_tools import _kl, _reduce  # noqa: E402


def squares(x, recon):
    return 0.5 * (x - recon).pow(2).flatten(1).sum(1)


def kl(mu, s):
    return -0.5 * torch.sum(1 + s - mu**2 - s.exp(), dim=1)


def examined(function, beta=1.0, **options):
    adapted = adapt(function, kind="loss")
    found = examine_loss(adapted.loss, beta=beta, convert=adapted.convert, state=adapted.state,
                         evaluation=adapted.evaluation, **options)  # fmt: skip
    assert found.failure is None
    return found


def codes(found):
    return [finding.code for finding in found.findings]


def detached(recon_x, x, mu, logvar):
    return (squares(x, recon_x) + kl(mu, logvar.detach())).mean()


class Module(torch.nn.Module):
    def forward(self, recon_x, x, mu, logvar):
        return (squares(x, recon_x) + kl(mu.detach(), logvar)).mean()


def through_numbers(recon_x, x, mu, logvar):
    return float((squares(x, recon_x) + kl(mu, logvar)).mean())


def backward_inside(recon_x, x, mu, logvar):
    recon_x.requires_grad_(True)
    total = (squares(x, recon_x) + kl(mu, logvar)).mean()
    total.backward()
    return total.item()


def free_bits(recon_x, x, mu, logvar):
    entries = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
    return (squares(x, recon_x) + entries.clamp(min=0.5).sum(1)).mean()


def test_gradients_that_are_missing_are_named_for_functions_and_modules():
    assert codes(examined(detached)) == ["log-variance-gradient-missing"]
    assert codes(examined(Module())) == ["mean-gradient-missing"]


@pytest.mark.parametrize("seed", range(4))
def test_a_threshold_is_no_missing_gradient(seed):
    found = examined(free_bits, seed=seed)
    assert codes(found) == ["free-bits"]
    assert found.facts["gradients"] == "those of the values"


@pytest.mark.parametrize("loss", [through_numbers, backward_inside])
def test_without_a_graph_gradients_are_not_examined_and_the_facts_say_so(loss):
    found = examined(loss)
    assert found.healthy
    assert found.facts["gradients"].startswith("not examined")


def test_numpy_losses_are_not_asked_for_gradients():
    def loss(x, y, m, s):
        return _reduce((x - y) ** 2, True, False) + _reduce(_kl(m, s), True, False)

    found = examine_loss(loss)
    assert found.facts["gradients"].startswith("not examined")
    assert not any("gradient" in question for question in found.asked)
    assert any("gradient" in question for question in examined(free_bits).asked)


def test_gradients_leave_the_gradient_mode_alone():
    with torch.no_grad():
        assert codes(examined(detached)) == ["log-variance-gradient-missing"]
        assert not torch.is_grad_enabled()


def variance_is_a_log(recon_x, x, mu, var):
    return (squares(x, recon_x) + kl(mu, var)).mean()


def sigma_is_a_log(recon_x, x, mu, sigma):
    return (squares(x, recon_x) + kl(mu, sigma)).mean()


def of_sigma(recon_x, x, mu, sigma):
    return (squares(x, recon_x) + kl(mu, 2 * sigma.log())).mean()


@pytest.mark.parametrize("loss", [variance_is_a_log, sigma_is_a_log])
def test_a_parameter_named_for_a_variance_may_hold_its_logarithm(loss):
    found = examined(loss)
    assert found.healthy
    assert "log-variance itself" in found.facts["log_var_parameter"]
    assert "log_var_parameter" not in examined(of_sigma).facts


def draws(recon_x, x, mu, logvar):
    normal = torch.distributions.Normal
    q = normal(mu, (logvar / 2).exp())
    z = q.rsample()
    sampled = (q.log_prob(z) - normal(0.0, 1.0).log_prob(z)).sum(1)
    return (squares(x, recon_x) + 2 * sampled).mean()


@pytest.mark.parametrize("seed", range(3))
def test_a_sampled_kl_is_read_through_its_noise(seed):
    state = torch.get_rng_state()
    found = examined(draws, beta=2.0, seed=seed)
    assert codes(found) == []
    assert found.facts["effective_beta"] == pytest.approx(2.0, rel=0.02)
    assert not found.facts["repeatable"]
    assert "draws" in found.facts
    assert torch.equal(torch.get_rng_state(), state)
    assert codes(examined(draws, noise_variance=1.0, seed=seed)) == ["kl-half-missing"]


def two_terms(recon_x, x, mu, logvar):
    return kl(mu, logvar).mean(), squares(x, recon_x).mean()


def test_two_bare_terms_are_added_and_the_facts_say_so():
    assert "part_1 + part_2" in examined(two_terms).facts["total_taken"]
    weighted = examined(two_terms, beta=4.0)
    assert weighted.healthy
    assert "4 x part_1 + part_2" in weighted.facts["total_taken"]


def default_beta(recon_x, x, mu, logvar, beta=4.0):
    return (squares(x, recon_x) + beta * kl(mu, logvar)).mean()


def default_epoch(recon_x, x, mu, logvar, epoch=0):
    return (squares(x, recon_x) + min(1, epoch / 100) * kl(mu, logvar)).mean()


def test_defaults_of_parameters_are_named_as_the_cause():
    (finding,) = examined(default_beta).findings
    assert finding.cause == "the parameter beta has the default 4"
    (finding,) = examined(default_epoch).findings
    assert finding.code == "kl-missing"
    assert "epoch=0" in finding.cause


def stated(x, recon, mu, logvar):
    nll = -torch.distributions.Normal(recon, 0.1).log_prob(x).flatten(1).sum(1)
    return (nll + 3 * kl(mu, logvar)).mean()


def pixels(x, recon, mu, logvar):
    return (255**2 * squares(x, recon) + kl(mu, logvar)).mean()


def test_a_noise_variance_stated_by_its_constant_is_taken():
    assert examined(stated, beta=3.0).healthy
    found = examined(stated)
    assert found.facts["effective_beta"] == pytest.approx(3.0)
    assert found.facts["noise_variance"] == pytest.approx(0.01)
    assert "declare" not in found.findings[0].remedy


def test_without_a_constant_both_remedies_are_offered():
    (finding,) = examined(pixels).findings
    assert "multiply the KL term by 65025" in finding.remedy
    assert "noise variance is 1.53787e-05, declare it" in finding.remedy
    assert examined(pixels, noise_variance=1 / 255**2).healthy


def test_formulas_are_those_of_one_sample():
    def loss(x, y, m, s):
        return _reduce((x - y) ** 2, True, False) + (0.5 * m**2 + np.exp(s)).sum() / len(x)

    (finding,) = examine_loss(loss).findings
    assert finding.evidence["formula"] == "+0.5 mean² +1 exp(log_var)"


@pytest.mark.parametrize(("width", "bounds"), [(2.0, (-1.64, 1.37)), (12.0, None)])
def test_a_soft_clamp_is_measured_where_half_the_slope_is_lost(width, bounds):
    def loss(x, y, m, s):
        kl = _kl(m, width * np.tanh(s / width))
        return _reduce((x - y) ** 2, True, False) + _reduce(kl, True, False)

    found = examine_loss(loss)
    assert found.facts["effective_beta"] == pytest.approx(1.0, rel=1e-3)
    assert "softly" in found.facts["kl_agrees"]
    if bounds is None:
        assert found.healthy
        return
    (finding,) = found.findings
    assert finding.code == "log-variance-clamped"
    assert (finding.evidence["lower"], finding.evidence["upper"]) == pytest.approx(bounds, abs=0.02)


@pytest.mark.parametrize(
    ("result", "words"),
    [(None, "returned None: return the number"), (1.0 + 1j, "the loss is complex")],
)
def test_what_is_no_loss_is_said_in_their_terms(result, words):
    assert words in examine_loss(lambda *arrays: result).failure
