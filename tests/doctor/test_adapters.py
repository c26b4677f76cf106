"""Which library a piece of code speaks, what its names mean, and the state kept around it."""

from __future__ import annotations

import logging
import math
import os
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from deep.adapters import adapt  # noqa: E402
from deep.adapters.libraries import kept, speaks_torch, tensors  # noqa: E402
from deep.adapters.names import role  # noqa: E402

from .adapter_tools import LossModule, in_our_order, train_numpy  # noqa: E402


def test_what_is_nothing_of_this_is_not_recognised():
    for thing in (3, "text", np.zeros(3), object(), math.sqrt, dict):
        assert adapt(thing) is None


def plain_function(x):
    return x


def annotated(x: torch.Tensor):
    return x


def numpy_annotated(x: np.ndarray):
    return torch.zeros(3)


def methods_alone(recon_x, x):
    return (recon_x - x).pow(2).sum()


def through_a_helper(x):
    return plain_function(in_our_order(x, x, x, x))


def through_a_class(x):
    return LossModule()(x)


def with_its_own_import(x):
    import torch as t

    return t.zeros(3)


def test_who_takes_tensors():
    assert not speaks_torch(through_a_helper)
    assert speaks_torch(through_a_class)
    assert speaks_torch(methods_alone), "its module imports torch"
    assert speaks_torch(with_its_own_import)
    bare: dict = {}
    exec("import numpy as np\ndef f(x): return np.sum(x)", bare)
    assert not speaks_torch(bare["f"])
    assert speaks_torch(annotated)
    assert speaks_torch(LossModule().forward)
    assert not speaks_torch(numpy_annotated)
    assert not speaks_torch(train_numpy)
    assert not speaks_torch(math.sqrt)


def test_conversions_have_the_dtype_of_the_network():
    array = np.ones((2, 3))
    assert tensors()(array).dtype == torch.float64
    assert tensors(double=False)(array).dtype == torch.float32
    assert tensors(nn.Linear(3, 1).half())(array).dtype == torch.float16
    frozen = np.ones(2)
    frozen.flags.writeable = False
    assert tensors()(frozen).tolist() == [1.0, 1.0]


def _disturb(module):
    torch.manual_seed(99)
    torch.rand(10)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_float32_matmul_precision("medium")
    torch.autograd.set_detect_anomaly(True)
    torch.backends.cudnn.benchmark = True
    module.train()
    module(torch.randn(4, 2, dtype=torch.float32))
    os.environ["LINVAE_TEST_VARIABLE"] = "set"
    logging.disable(logging.CRITICAL)
    raise KeyError


def test_the_state_of_torch_and_of_the_process_is_put_back():
    module = nn.BatchNorm1d(2).eval()
    torch.manual_seed(5)
    first = torch.rand(3)
    torch.manual_seed(5)
    threads, level = torch.get_num_threads(), logging.root.manager.disable
    with pytest.raises(KeyError), kept((module,)):
        _disturb(module)
    assert torch.equal(torch.rand(3), first)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.is_anomaly_enabled()
    assert not torch.backends.cudnn.benchmark
    assert not module.training
    assert module.running_mean.tolist() == [0.0, 0.0]
    assert "LINVAE_TEST_VARIABLE" not in os.environ
    assert logging.root.manager.disable == level


@pytest.mark.parametrize(
    ("name", "among", "want"),
    [("recon_x", ("x_hat", "x"), "x_hat"), ("X", ("x",), "x"), ("logVar", ("log_var",), "log_var"),
     ("unknown", ("x", "mean"), None)],
)  # fmt: skip
def test_names(name, among, want):
    assert role(name, among) == want


def test_adapters_import_nothing_heavy():
    import subprocess

    code = "import sys, deep.adapters; print(sorted({m.split('.')[0] for m in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("torch", "sklearn", "pythae", "linvae", "numpy"):
        assert f"'{heavy}'" not in run.stdout
