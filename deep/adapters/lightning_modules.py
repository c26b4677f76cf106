"""Modules with ``training_step`` and ``configure_optimizers``, trained as Lightning would."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable
from typing import Any

from deep._checks import fail
from deep.adapters.adapted import Adapted
from deep.adapters.libraries import kept, seed_all
from deep.adapters.models import adapt_model, is_model
from deep.adapters.names import required, role, signature_of

__all__ = ["adapt_lightning", "is_lightning"]

_EPOCHS = 300
_BATCH = 250
_ROLES = ("n_features", "latent_dim", "beta")


def is_lightning(thing: Any) -> bool:
    """Whether it is a module, or a class of modules, that knows its own training step."""
    return all(callable(getattr(thing, n, None)) for n in ("training_step", "configure_optimizers"))


def adapt_lightning(make: Callable[..., Any]) -> Adapted:
    """A class of Lightning modules, or a function that makes one, as a trainer.

    The module is made with its number of features, its number of latents and β, under whatever
    names its class has for them. Where Lightning is installed and the class is one of its own, its
    Trainer does the training; else a plain loop calls ``training_step`` and the optimiser.

    Raises
    ------
    InputError
        A parameter without a default that is none of these.
    """
    parameters = signature_of(make) or []
    roles = {p.name: role(p.name, _ROLES) for p in parameters}
    unknown = [p.name for p in parameters if required(p) and roles[p.name] is None]
    if unknown:
        fail("module", f"parameters {', '.join(unknown)}", "a number of features, a number of "
             "latents and beta", "pass a function that makes the module from these")  # fmt: skip
    known = {name: part for name, part in roles.items() if part is not None}

    def fit(X: Any, beta: float, latent_dim: int, seed: int) -> Adapted:
        given = {"n_features": X.shape[1], "latent_dim": latent_dim, "beta": beta}
        seed_all(seed)
        module = make(**{name: given[part] for name, part in known.items()})
        if not is_lightning(module):
            fail("module", type(module).__name__, "training_step and configure_optimizers",
                 "give it both, or pass a function fit(X, beta, latent_dim, seed)")  # fmt: skip
        if not is_model(module):
            fail("module", type(module).__name__, "encode and decode, or encoder and decoder",
                 "give it both")  # fmt: skip
        _train(module, X)
        return adapt_model(module, library="lightning", torch=True, beta=beta)

    takes_beta = "beta" in known.values()
    notes = [f"trained for {_EPOCHS} epochs with batches of {_BATCH}"]
    notes += [] if takes_beta else ["the module has no parameter for beta; it is taken as 1"]
    return Adapted("lightning", "trainer", fit=fit, state=kept,
                   betas=None if takes_beta else (1.0,), notes=tuple(notes))  # fmt: skip


def _train(module: Any, samples: Any) -> None:
    import torch

    first = next(iter(module.parameters()), None)
    dtype = torch.get_default_dtype() if first is None else first.dtype
    rows = torch.tensor(samples, dtype=dtype)
    form = _form(module, rows[:2])
    trainer = _own_trainer(module)
    module.train()
    if trainer is None:
        _plain_loop(module, rows, form)
        return
    data = torch.utils.data.TensorDataset(rows, torch.zeros(len(rows)))
    loader = torch.utils.data.DataLoader(
        data,
        _BATCH,
        shuffle=True,
        collate_fn=lambda pairs: form(torch.stack([p[0] for p in pairs])),
    )
    trainer.fit(module, loader)


def _own_trainer(module: Any) -> Any:
    """Lightning's Trainer, silent and writing nothing, for modules of Lightning's own class."""
    for name in ("lightning.pytorch", "pytorch_lightning", "lightning"):
        library: Any = sys.modules.get(name)
        kind = getattr(library, "LightningModule", None)
        if kind is not None and isinstance(module, kind):
            return library.Trainer(
                max_epochs=_EPOCHS, accelerator="cpu", devices=1, logger=False,
                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            )  # fmt: skip
    return None


def _form(module: Any, rows: Any) -> Callable[[Any], Any]:
    """What a batch is to the module: (x, labels), x or (x,). Tried on two rows."""
    forms: tuple[Callable[[Any], Any], ...] = (
        lambda x: (x, x.new_zeros(len(x))),
        lambda x: x,
        lambda x: (x,),
    )
    import torch

    error: Exception | None = None
    for form in forms:
        try:
            with kept((module,)), _without_log(module), torch.no_grad():
                _loss_of(module.training_step(form(rows), 0))
        except Exception as raised:
            error = error or raised
        else:
            return form
    assert error is not None
    raise error


@contextlib.contextmanager
def _without_log(module: Any) -> Any:
    """Lightning's log() needs a Trainer; without one it does nothing."""
    replaced = "log" not in vars(module)
    names = ("log", "log_dict")
    if replaced:
        for name in names:
            object.__setattr__(module, name, lambda *_, **__: None)
    try:
        yield
    finally:
        if replaced:
            for name in names:
                vars(module).pop(name, None)


def _loss_of(step: Any) -> Any:
    """The loss in what training_step returned: a tensor, or a mapping with one."""
    loss = step["loss"] if isinstance(step, dict) else step
    if not hasattr(loss, "backward"):
        fail("training_step", type(loss).__name__, "a loss", "return it, or {'loss': loss}")
    return loss


def _optimisers(given: Any) -> tuple[list[Any], list[Any]]:
    """Optimisers and schedulers out of the forms that configure_optimizers may return."""
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], list):
        return given[0], [s["scheduler"] if isinstance(s, dict) else s for s in given[1]]
    if isinstance(given, dict):
        held = given.get("lr_scheduler")
        held = held["scheduler"] if isinstance(held, dict) else held
        return [given["optimizer"]], [] if held is None else [held]
    return list(given) if isinstance(given, list | tuple) else [given], []


def _plain_loop(module: Any, rows: Any, form: Callable[[Any], Any]) -> None:
    import torch

    optimisers, schedulers = _optimisers(module.configure_optimizers())
    batches = math.ceil(len(rows) / _BATCH)
    with _without_log(module):
        for _ in range(_EPOCHS):
            order = torch.randperm(len(rows))
            for number in range(batches):
                chosen = rows[order[number * _BATCH : (number + 1) * _BATCH]]
                loss = _loss_of(module.training_step(form(chosen), number))
                for optimiser in optimisers:
                    optimiser.zero_grad()
                loss.backward()
                for optimiser in optimisers:
                    optimiser.step()
            for scheduler in schedulers:
                scheduler.step()
