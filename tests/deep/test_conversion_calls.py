"""Conversion to multi-rate: nothing of a call outlives it, and what is refused."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import threading
import weakref

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from deep import conversion
from deep.conversion import multi_rate
from deep.errors import InputError
from tests.deep.test_conversion import (
    F64,
    RANGE,
    _seeded,  # noqa: F401
    by_hand,
    close,
    conv,
    gen,
    mlp,
    opened,
)


def test_the_original_is_not_changed_unless_asked():
    net = conv()
    before = copy.deepcopy(net.state_dict())
    gated = opened(net)
    gated(torch.randn(2, 2, 8, 8, dtype=F64), beta=1.0).sum().backward()
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    net(torch.randn(2, 2, 8, 8, dtype=F64))  # no gates, no β
    given = mlp()
    assert opened(given, copied=False).module is given
    with pytest.raises(InputError, match="beta"):
        given(torch.zeros(1, 5, dtype=F64))


def test_a_gate_cannot_be_read_without_beta():
    gated = opened(mlp())
    x = torch.zeros(2, 5, dtype=F64)
    with pytest.raises(InputError, match=r"beta: got a call of '0' without it; .*; call model"):
        gated.module(x)
    with pytest.raises(TypeError, match="beta"):
        gated(x)
    gated(x, beta=1.0)
    with pytest.raises(InputError, match="beta"):
        gated.module(x)


class Failing(nn.Module):
    """Calls its layer, then fails if told to."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2).double()

    def forward(self, x, fail=False):
        y = self.layer(x)
        if fail:
            raise KeyError("stop")
        return y


def test_nothing_of_a_call_survives_it():
    gated = opened(Failing())
    x = torch.ones(1, 2, dtype=F64)
    seen = []
    plain = gated.modulations

    def watched(*arguments):
        found = plain(*arguments)
        seen.extend(weakref.ref(part.scale) for part in found.values())
        return found

    gated.modulations = watched
    state = {k: v.clone() for k, v in gated.state_dict().items()}
    with torch.no_grad():
        gated(x, beta=1.0)
        with pytest.raises(KeyError):
            gated(x, beta=2.0, fail=True)
    with pytest.raises(InputError, match="beta"):
        gated(x, beta=-2.0)
    gc.collect()
    assert len(seen) == 2
    assert all(ref() is None for ref in seen)
    assert dict(conversion._ACTIVE.get()) == {}
    assert all(torch.equal(v, state[k]) for k, v in gated.state_dict().items())
    with pytest.raises(InputError, match="beta"):
        gated.module(x)


def test_threads_do_not_meet():
    # Both threads are inside the same model at once, held there by a barrier.
    barrier = threading.Barrier(2, timeout=30)

    class Meeting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2).double()

        def forward(self, x, meet):
            if meet:
                barrier.wait()
            y = self.layer(x)
            if meet:
                barrier.wait()
            return y

    gated = opened(Meeting())
    x = torch.ones(3, 2, dtype=F64)
    results = {}

    def work(beta):
        results[beta] = gated(x, True, beta=beta).detach()

    threads = [threading.Thread(target=work, args=(beta,)) for beta in (0.1, 10.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for beta in (0.1, 10.0):
        close(results[beta], gated(x, False, beta=beta))
    assert not torch.allclose(results[0.1], results[10.0])


def test_a_thread_started_inside_a_call_has_no_gates():
    gated = opened(nn.Linear(2, 2).double())
    errors = []

    def work():
        try:
            gated.module(torch.ones(1, 2, dtype=F64))
        except InputError as error:
            errors.append(error)

    with gated.at(1.0):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(30)
    assert len(errors) == 1


def test_nested_models_have_their_own_beta():
    inner = opened(nn.Linear(2, 2).double(), generator=gen(1))

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.inner = nn.Linear(2, 2).double(), inner
            self.last = nn.Linear(2, 2).double()

        def forward(self, x, at):
            return self.last(self.inner(self.first(x), beta=at))

    outer = opened(Outer())
    assert [layer.layer for layer in outer.layers] == ["first", "last"]  # inner has gates already
    x = torch.ones(1, 2, dtype=F64)
    g = by_hand(outer, 3.0)
    first, last = outer.module.first, outer.module.last
    with outer.at(1.0):
        base = (first(x) / by_hand(outer, 1.0)["first"]).detach()
    h = inner(g["first"] * base, beta=0.2)
    close(outer(x, 0.2, beta=3.0), g["last"] * (h @ last.weight.T + last.bias))
    # The same model within itself: the inner call ends, the outer β is back.
    with inner.at(1.0) as net:
        a = net(x)
        b = inner(x, beta=9.0)
        close(net(x), a)
    assert not torch.allclose(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gated": ("nothing*",)}, r"gated: got the pattern 'nothing\*', which matches no layer"),
        ({"ungated": ("1",)}, "ungated: got the pattern '1'"),  # an activation
        ({"gate": {"0": "sigmoid", "x": "tanh", "2": "tanh"}}, "gate: got the pattern 'x'"),
        ({"gate": {"0": "sigmoid"}}, "gate: got no pattern for the gated layer '2'"),
        ({"gate": "relu"}, "gate: got 'relu'; expected one of sigmoid"),
        ({"gate": "none"}, "gated: got no layer"),
        ({"gated": "0"}, r"gated: got '0'; expected a sequence"),
        ({"ungated": ("*",)}, "gated: got no layer"),
        ({"placement": "after"}, "placement: got 'after'"),
        ({"beta_range": (1.0, 0.1)}, "beta_range"),
        ({"slope_std": 1.0}, "slope_std"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        multi_rate(mlp(), **{"beta_range": RANGE, **options})


def test_networks_without_layers_and_attention_are_refused():
    with pytest.raises(InputError, match="none in this network"):
        multi_rate(nn.ReLU(), beta_range=RANGE)
    attention = nn.MultiheadAttention(4, 2)
    with pytest.raises(InputError, match="reads its weights without calling it"):
        multi_rate(attention, beta_range=RANGE)
    with pytest.raises(InputError, match=r"matches no layer that can get gates; .*none in this"):
        multi_rate(opened(mlp()), beta_range=RANGE)  # converted already


@pytest.mark.parametrize("lazy", [nn.LazyLinear(3), nn.LazyConv2d(3, 1)])
def test_lazy_layers_are_refused_until_they_have_weights(lazy):
    net = nn.Sequential(lazy, nn.Flatten())
    with pytest.raises(InputError, match=r"layer '0': got a lazy one.*call the network once"):
        multi_rate(net, beta_range=RANGE)
    x = torch.ones(2, 4, 3, 3)
    want = net(x).detach()
    assert torch.equal(multi_rate(net, beta_range=RANGE)(x, beta=2.0), want)


class Tied(nn.Module):
    """Uses the weights of a layer, and calls it only if told to."""

    def __init__(self):
        super().__init__()
        self.first, self.tied = nn.Linear(3, 3).double(), nn.Linear(3, 3).double()

    def forward(self, x, call=False):
        h = self.first(x)
        return self.tied(h) if call else nn.functional.linear(h, self.tied.weight)


def test_a_gated_layer_that_is_never_called_is_noticed_and_named():
    x = torch.ones(2, 3, dtype=F64)
    gated = opened(Tied())
    for _ in range(2):  # a failure settles nothing
        with pytest.raises(InputError, match=r"'tied' not called.*ungated=\('tied',\)"):
            gated(x, beta=1.0)
    for called, partial in ((True, opened(Tied())), (False, opened(Tied(), ungated=("tied",)))):
        with partial.at(1.0) as network:  # parts may be called on purpose
            network.first(x)
        partial(x, called, beta=1.0)
    gated(x, True, beta=1.0)
    gated(x, beta=1.0)  # once every layer was called, calls may leave some out


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan, math.inf])
def test_bad_betas_are_refused(beta):
    gated = opened(mlp())
    with pytest.raises(InputError, match="beta: got values"):
        gated(torch.zeros(2, 5, dtype=F64), beta=beta)
    with pytest.raises(InputError, match="beta: got values"):
        gated(torch.zeros(2, 5, dtype=F64), beta=torch.tensor([1.0, beta]))


@pytest.mark.parametrize("shape", [(3,), (1,), (2, 1), (0,)])
def test_betas_of_another_number_are_refused(shape):
    for net, x in ((mlp(), torch.zeros(2, 5)), (conv(), torch.zeros(2, 2, 8, 8))):
        with pytest.raises(InputError, match=r"beta: got .*; expected \(\) or \(N,\)"):
            opened(net)(x.double(), beta=torch.ones(shape))


def test_beta_per_example_needs_examples():
    unbatched = torch.zeros(2, 8, 8, dtype=F64)  # channels, not examples, come first
    with pytest.raises(InputError, match="beta: got 6 values"):
        opened(nn.Conv2d(2, 6, 3).double())(unbatched, beta=torch.ones(6))
    assert opened(nn.Conv2d(2, 6, 3).double())(unbatched, beta=1.0).shape == (6, 6, 6)


def test_state_dicts_load_strictly_and_reproduce_the_outputs():
    x = torch.randn(3, 2, 8, 8, dtype=F64)
    trained, fresh = opened(conv()), opened(conv(), generator=gen(5))
    trained(x, beta=1.0)
    fresh.load_state_dict(copy.deepcopy(trained.state_dict()), strict=True)
    assert torch.equal(trained.eval()(x, beta=3.0), fresh.eval()(x, beta=3.0))
    fewer = opened(conv(), ungated=("6",))
    with pytest.raises(RuntimeError, match="size mismatch"):
        fewer.load_state_dict(trained.state_dict(), strict=True)


def test_copies_and_pickles_have_gates_of_their_own():
    x = torch.randn(3, 5, dtype=F64)
    gated = opened(mlp())
    want = gated(x, beta=3.0)
    for twin in (copy.deepcopy(gated), pickle.loads(pickle.dumps(gated))):
        assert torch.equal(twin(x, beta=3.0), want)
        with gated.at(3.0), pytest.raises(InputError, match="beta"):
            twin.module(x)
        with torch.no_grad():
            twin.gates["sigmoid"].bias += 1
        assert not torch.equal(twin(x, beta=3.0), want)
    assert torch.equal(gated(x, beta=3.0), want)
