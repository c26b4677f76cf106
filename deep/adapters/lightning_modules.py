"""Modules with ``training_step`` and ``configure_optimizers``, trained as Lightning would."""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from deep._checks import fail
from deep.adapters.adapted import Adapted
from deep.adapters.libraries import kept, seed_all
from deep.adapters.models import adapt_model, model_in
from deep.adapters.names import required, role, signature_of

__all__ = ["adapt_lightning", "is_lightning", "kept_without_files"]

_EPOCHS = 300
_BATCH = 250
_ROLES = ("n_features", "latent_dim", "beta")


@contextlib.contextmanager
def kept_without_files() -> Iterator[None]:
    """As ``kept``; what a Trainer of Lightning writes by default goes to a folder that is removed.

    Lightning reads the variable as the default of its argument ``default_root_dir``; a folder that
    their code names itself is theirs.
    """
    with tempfile.TemporaryDirectory() as folder, kept():
        os.environ.setdefault("PL_TRAINER_DEFAULT_ROOT_DIR", folder)
        yield


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
    parameters = _parameters(make)
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
        model = model_in(module)
        if model is None:
            fail("module", type(module).__name__, "encode and decode, or encoder and decoder",
                 "give it both")  # fmt: skip
        _train(module, X)
        return adapt_model(model, library="lightning", torch=True, beta=beta)

    takes_beta = "beta" in known.values()
    notes = [f"trained for {_EPOCHS} epochs with batches of {_BATCH}"]
    notes += [] if takes_beta else ["the module has no parameter for beta; it is taken as 1"]
    return Adapted("lightning", "trainer", fit=fit, state=kept_without_files,
                   betas=None if takes_beta else (1.0,), notes=tuple(notes))  # fmt: skip


def _parameters(make: Callable[..., Any]) -> list[inspect.Parameter]:
    """Parameters by name; where a class passes ``**kwargs`` on, also those of its base."""
    found: dict[str, inspect.Parameter] = {}
    bases = make.__mro__ if isinstance(make, type) else (make,)
    inits = [base for base in bases if not isinstance(make, type) or "__init__" in vars(base)]
    for function in inits:
        parameters = signature_of(
            vars(function)["__init__"] if isinstance(function, type) else make
        )
        skip = 1 if isinstance(function, type) else 0
        given = (parameters or [])[skip:]
        variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        for p in given:
            if p.kind not in variable:
                found.setdefault(p.name, p)
        if not any(p.kind is p.VAR_KEYWORD for p in given):
            break
    return list(found.values())


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
    trainer.fit(module, _loader(rows, form))


def _loader(rows: Any, form: Callable[[Any], Any]) -> Any:
    """Batches of rows in random order, in the form that the module takes."""
    import torch

    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(rows),
        _BATCH,
        shuffle=True,
        collate_fn=lambda parts: form(torch.stack([p[0] for p in parts])),
    )


def _own_trainer(module: Any, epochs: int | None = None) -> Any:
    """Lightning's Trainer, silent and writing nothing, for modules of Lightning's own class."""
    for name in ("lightning.pytorch", "pytorch_lightning", "lightning"):
        library: Any = sys.modules.get(name)
        kind = getattr(library, "LightningModule", None)
        if kind is not None and isinstance(module, kind):
            return library.Trainer(
                max_epochs=epochs or _EPOCHS, accelerator="cpu", devices=1, logger=False,
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
    error: Exception | None = None
    for form in forms:
        try:
            _try(module, rows, form)
        except Exception as raised:
            error = error or raised
        else:
            return form
    assert error is not None
    raise error


def _try(module: Any, rows: Any, form: Callable[[Any], Any]) -> None:
    """One step on a few rows that leaves the module as it is."""
    import torch

    if not getattr(module, "automatic_optimization", True):  # such a step needs its Trainer
        trainer = _own_trainer(module, epochs=1)
        if trainer is not None:
            trainer.fit(copy.deepcopy(module), _loader(rows, form))
            return
    with kept((module,)), _without_log(module), torch.no_grad():
        _loss_of(module.training_step(form(rows), 0))


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
