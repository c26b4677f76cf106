"""Losses and trainers of other people, called with the arguments they name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from deep._checks import fail
from deep.adapters.names import required, role, signature_of
from deep.adapters.posteriors import exp_of, fields_of

__all__ = [
    "is_loss",
    "is_trainer",
    "loss_in_order",
    "makes_module",
    "total_first",
    "trainer_in_order",
]

Convert = Callable[[Any], Any]

_LOSS_ROLES = ("x_hat", "x", "mean", "log_var", "log_std", "std", "variance", "z", "beta")
_SPREADS = ("log_var", "log_std", "std", "variance")
_TRAINER_ROLES = ("samples", "beta", "latent_dim", "seed", "n_features")
_ORDER = ("x", "x_hat", "mean", "log_var")
_TOTALS = ("loss", "total", "total_loss", "objective", "elbo_loss", "neg_elbo", "nelbo")


_FROM_LOG_VAR: dict[str, Callable[[Any], Any]] = {
    "log_var": lambda log_var: log_var,
    "log_std": lambda log_var: log_var / 2,
    "std": lambda log_var: exp_of(log_var / 2),
    "variance": exp_of,
}
_TOLD = {
    "log_std": "half the log-variance",
    "std": "the standard deviation",
    "variance": "the variance",
}


def _roles(function: Callable[..., Any], among: tuple[str, ...]) -> dict[str, str | None]:
    """Name -> role of the named parameters of a callable, in their order."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = [p for p in signature_of(function) or () if p.kind not in variable]
    return {p.name: role(p.name, among) for p in found}


def is_loss(function: Callable[..., Any]) -> bool:
    """Whether the parameters are those of a loss, by their names."""
    roles = set(_roles(function, _LOSS_ROLES).values())
    return {"x", "x_hat", "mean"} <= roles and bool(roles & set(_SPREADS))


def is_trainer(function: Callable[..., Any]) -> bool:
    """Whether the parameters are those of a trainer: data, and β or a number of latents."""
    roles = set(_roles(function, _TRAINER_ROLES).values())
    return "samples" in roles and bool(roles & {"beta", "latent_dim"})


def makes_module(function: Callable[..., Any]) -> bool:
    """Whether a function takes sizes of a network, and no data."""
    roles = set(_roles(function, ("n_features", *_TRAINER_ROLES)).values())
    return {"n_features", "latent_dim"} <= roles and "samples" not in roles


def loss_in_order(
    function: Callable[..., Any], convert: Convert, beta: float | None = None
) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """A loss called as (x, x_hat, mean, log_var), whatever order and names the original has.

    Parameters
    ----------
    function : callable
        Their loss. Parameters are recognised by name (recon_x, input, mu, logvar, ...); where
        names say nothing, the order (x, x_hat, mean, log_var) is taken. ``*args`` alone gets
        (x_hat, x, mean, log_var).
    convert : callable
        NumPy array to what the original takes.
    beta : float, optional
        Passed on where the original has a parameter for it.

    Returns
    -------
    callable, tuple of str
        The loss, and what had to be guessed. Where a parameter was given the variance or the
        standard deviation by its name alone, its attribute ``with_log_var`` gives it the
        log-variance; ``defaults`` are the numbers of parameters that are not given.

    Raises
    ------
    InputError
        Parameters that cannot be filled.
    """
    parameters = signature_of(function)
    if parameters is not None and parameters and not _roles(function, _LOSS_ROLES):
        return _of_variable_arguments(function, parameters, convert)
    plan = _plan(function, parameters, beta)
    loss: Any = _following(plan, function, convert, beta)
    loss.defaults = _left_out(plan, parameters)
    told = [(name, part) for name, part, _ in plan if name and part in _TOLD]
    if told:
        as_it_is = [(n, "log_var" if p in _TOLD else p, by_name) for n, p, by_name in plan]
        loss.with_log_var = _following(as_it_is, function, convert, beta)
        loss.with_log_var.__doc__ = "; ".join(
            f"parameter {name} was given the log-variance itself: given {_TOLD[part]}, the KL "
            "is not that of any reading known here" for name, part in told)  # fmt: skip
    notes = [f"parameter {name} was given {_TOLD[part]}" for name, part in told]
    notes += [f"parameter {name} was given the posterior mean"
              for name, part, _ in plan if part == "z"]  # fmt: skip
    notes += [f"parameter {name} was given {1.0 if beta is None else beta:g}"
              for name, part, _ in plan if part == "beta"]  # fmt: skip
    return loss, tuple(notes)


def _left_out(
    plan: list[tuple[str, str, bool]], parameters: list[inspect.Parameter] | None
) -> dict[str, float]:
    """Numbers that parameters have which the plan does not fill."""
    filled = {name for name, _, _ in plan}
    return {p.name: float(p.default) for p in parameters or ()
            if p.name not in filled and isinstance(p.default, int | float)
            and not isinstance(p.default, bool)}  # fmt: skip


def _following(
    plan: list[tuple[str, str, bool]],
    function: Callable[..., Any],
    convert: Convert,
    beta: float | None,
) -> Callable[..., Any]:
    """The loss whose parameters get what the plan says."""

    def loss(x: Any, x_hat: Any, mean: Any, log_var: Any) -> Any:
        given = {"x": convert(x), "x_hat": convert(x_hat), "mean": convert(mean)}
        spread = convert(log_var)
        given["z"] = given["mean"]
        positional, named = [], {}
        for name, part, by_name in plan:
            value = (
                _FROM_LOG_VAR[part](spread)
                if part in _SPREADS
                else given.get(part, 1.0 if beta is None else beta)
            )
            if by_name:
                named[name] = value
            else:
                positional.append(value)
        return total_first(function(*positional, **named))

    return loss


def _plan(
    function: Callable[..., Any], parameters: list[inspect.Parameter] | None, beta: float | None
) -> list[tuple[str, str, bool]]:
    """What each parameter gets: (name, role, whether by name)."""
    if parameters is None:
        return [("", part, False) for part in _ORDER]
    roles = _roles(function, _LOSS_ROLES)
    _sort_out_y(roles)
    missing = [part for part in _ORDER if not _has(part, roles)]
    plan: list[tuple[str, str, bool]] = []
    for p in parameters:
        part = roles.get(p.name)
        wanted = part in _ORDER or part in _SPREADS or (part == "beta" and beta is not None)
        if p.name in roles and not wanted and required(p) and part not in ("z", "beta"):
            part = missing.pop(0) if missing else None
            if part is None:
                _refuse(function, p.name)
        elif not wanted and not required(p):
            continue
        if part is not None:
            plan.append((p.name, part, p.kind is not p.POSITIONAL_ONLY))
    if missing:
        _refuse(function, ", ".join(roles))
    return plan


def _has(part: str, roles: dict[str, str | None]) -> bool:
    found = set(roles.values())
    return bool(found & set(_SPREADS)) if part == "log_var" else part in found


def _sort_out_y(roles: dict[str, str | None]) -> None:
    """In loss(y_pred, y, ...) y is the data, in loss(y, x, ...) the reconstruction."""
    if "y" in roles and list(roles.values()).count("x_hat") > 1:
        roles["y"] = "x"


def _refuse(function: Callable[..., Any], what: str) -> None:
    name = getattr(function, "__name__", type(function).__name__)
    fail(f"loss {name}", f"parameters {what}", "parameters for x, x_hat, mean and log_var",
         "wrap it in a function (x, x_hat, mean, log_var) that calls it")  # fmt: skip


def _of_variable_arguments(
    function: Callable[..., Any], parameters: list[inspect.Parameter], convert: Convert
) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The form loss_function(*args, **kwargs): (x_hat, x, mean, log_var) and a KL weight M_N."""
    options = {"M_N": 1.0} if any(p.kind is p.VAR_KEYWORD for p in parameters) else {}

    def loss(x: Any, x_hat: Any, mean: Any, log_var: Any) -> Any:
        parts = [convert(part) for part in (x_hat, x, mean, log_var)]
        return total_first(function(*parts, **options))

    notes = ["its parameters have no names; it was called with (x_hat, x, mean, log_var)"]
    notes += ["the keyword M_N, its weight of the KL, was 1"] if options else []
    return loss, tuple(notes)


def total_first(value: Any) -> Any:
    """What a loss returned, tuples and objects as a mapping whose entry ``loss`` is the total.

    The first part of a tuple is taken for the total, as in (loss, reconstruction, KL).
    """
    if isinstance(value, tuple | list) and not hasattr(value, "_fields") and len(value) > 1:
        return {"loss": value[0], **{f"part_{i}": p for i, p in enumerate(value[1:], 2)}}
    if isinstance(value, tuple | list) and len(value) == 1:
        return value[0]
    fields = None if hasattr(value, "shape") else fields_of(value)
    if fields is None:
        return value
    total = next((name for name in _TOTALS if name in fields), None)
    if total is None:
        return fields
    return {"loss": fields[total], **{n: p for n, p in fields.items() if n != total}}


def trainer_in_order(
    function: Callable[..., Any],
    convert: Convert,
    read: Callable[[Any], Any],
    seed_all: Callable[[int], None],
) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """A trainer called as (X, beta, latent_dim, seed), whatever order and names the original has.

    Parameters
    ----------
    function : callable
        Their trainer; parameters are recognised by name.
    convert : callable
        NumPy array to what the original takes.
    read : callable(trained) -> model
        Turns what it returns into a model with encode and decode.
    seed_all : callable(int)
        Seeds the library's generators, for trainers without a seed of their own.

    Returns
    -------
    callable, tuple of str
        The trainer, and what had to be guessed.

    Raises
    ------
    InputError
        A parameter without a default that is none of these.
    """
    roles = _roles(function, _TRAINER_ROLES)
    needed = {p.name for p in signature_of(function) or () if required(p)}
    unknown = [name for name in roles if roles[name] is None and name in needed]
    if unknown:
        fail("trainer", f"parameters {', '.join(unknown)}", "X, beta, latent_dim and seed",
             "wrap it in a function fit(X, beta, latent_dim, seed)")  # fmt: skip
    known = {name: part for name, part in roles.items() if part is not None}

    def fit(X: Any, beta: float, latent_dim: int, seed: int) -> Any:
        given = {"samples": convert(X), "beta": beta, "latent_dim": latent_dim, "seed": seed,
                 "n_features": X.shape[1]}  # fmt: skip
        seed_all(seed)
        named = {name: given[part] for name, part in known.items()} if roles else {}
        positional = () if roles else (given["samples"], beta, latent_dim, seed)
        return read(function(*positional, **named))

    parts = set(known.values())
    lacking = [part for part in ("beta", "latent_dim") if part not in parts]
    return fit, tuple(f"the trainer has no parameter for {part}" for part in lacking if roles)
