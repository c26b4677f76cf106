"""Adapters: other people's code in the form that an examination calls.

:func:`adapt` takes a loss, a model, a trainer or a metric of torch, Lightning, Pythae,
scikit-learn or anything alike, and gives plain callables. Nothing is imported that the code has
not imported itself; :mod:`linvae` is not needed.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from deep._checks import fail
from deep.adapters.adapted import Adapted, Kind

__all__ = ["Adapted", "adapt"]


def adapt(thing: Any, *, kind: Kind | None = None, beta: float | None = None) -> Adapted | None:
    """Recognise somebody's code and bring it into the form of an examination.

    Parameters
    ----------
    thing : object
        A loss with parameters such as (recon_x, x, mu, logvar); a model with encode and decode, or
        encoder and decoder; a trainer such as fit(X, beta, latent_dim, seed); a Lightning module
        class; a Pythae model or class; a scikit-learn estimator; a class made with (latent_dim,
        beta) that has fit(X); a metric.
    kind : {"loss", "model", "trainer", "metric"}, optional
        What to take it for; guessed when omitted.
    beta : float, optional
        For code that has a parameter for it.

    Returns
    -------
    Adapted or None
        None where nothing is recognised.

    Raises
    ------
    InputError
        It is recognised, but cannot be called as asked.
    """
    from deep.adapters import (
        estimators,
        lightning_modules,
        models,
        pythae_models,
        sklearn_models,
    )

    if pythae_models.is_pythae(thing):
        return pythae_models.adapt_pythae(thing, kind, beta)
    if sklearn_models.is_estimator(thing):
        return sklearn_models.adapt_estimator(thing, kind)
    made = isinstance(thing, type) and lightning_modules.is_lightning(thing)
    if kind in (None, "trainer") and (made or _makes_module(thing, kind)):
        return lightning_modules.adapt_lightning(thing)
    model = models.model_in(thing) if kind in (None, "model") else None
    if model is not None:
        torch = _is_module(thing) or _holds_modules(thing)
        library = "torch" if torch else "plain"
        return models.adapt_model(model, library=library, torch=torch, beta=beta)
    if kind in (None, "trainer") and estimators.is_estimator_of_vae(thing):
        return estimators.adapt_estimator_of_vae(thing, _read_model_of)
    # What a class can do is known of its instances.
    return None if isinstance(thing, type) else _of_callable(thing, kind, beta)


def _makes_module(thing: Any, kind: Kind | None) -> bool:
    """Whether it is a function without data, of the sizes of a network: it makes a module."""
    from deep.adapters import callables

    return kind == "trainer" and not isinstance(thing, type) and callables.makes_module(thing)


def _is_module(thing: Any) -> bool:
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _holds_modules(thing: Any) -> bool:
    return any(_is_module(part) for part in getattr(thing, "__dict__", {}).values())


def _of_callable(thing: Any, kind: Kind | None, beta: float | None) -> Adapted | None:
    from deep.adapters import libraries

    function = _loss_method(thing) if kind == "loss" else _fit_method(thing, kind)
    if not callable(function):
        return None
    shown = function.forward if _is_module(function) else function
    torch = libraries.speaks_torch(shown) or _is_module(function)
    guess = kind or _kind_of(libraries.with_names(shown))
    if guess == "loss":
        return _as_loss(thing, function, torch, beta)
    if guess == "trainer":
        return _as_trainer(function, torch)
    return _as_metric(function, torch) if guess == "metric" else None


def _fit_method(thing: Any, kind: Kind | None) -> Any:
    """A trainer that is a method ``fit`` of an object, or the object itself."""
    from deep.adapters import callables

    fit = getattr(thing, "fit", None)
    is_method = kind in (None, "trainer") and not callable(thing) and callable(fit)
    return fit if is_method and callables.is_trainer(fit) else thing


def _as_trainer(function: Any, torch: bool) -> Adapted:
    from deep.adapters import callables, libraries, lightning_modules
    from deep.adapters.conventions import conventions, trying_to_train

    convert = conventions(torch, double=False)
    fit, notes = callables.trainer_in_order(function, convert, _read_model_of, libraries.seed_all)
    fit = trying_to_train(fit, convert)
    return Adapted("torch" if torch else "plain", "trainer", fit=fit,
                   state=lightning_modules.kept_without_files, notes=notes)  # fmt: skip


def _as_metric(function: Any, torch: bool) -> Adapted:
    from deep.adapters import libraries
    from deep.adapters.conventions import conventions, trying

    convert = conventions(torch)
    return Adapted("torch" if torch else "plain", "metric", metric=trying(function, convert),
                   convert=convert, state=libraries.kept)  # fmt: skip


def _kind_of(function: Any) -> Kind | None:
    from deep.adapters import callables

    if callables.is_loss(function):
        return "loss"
    return "trainer" if callables.is_trainer(function) else None


def _loss_method(thing: Any) -> Any:
    """A function or module that is the loss itself, or the loss an object has as a method."""
    found = (getattr(thing, name, None) for name in ("loss_function", "loss_fn", "loss"))
    return next((method for method in found if callable(method)), thing)


def _as_loss(thing: Any, function: Any, torch: bool, beta: float | None) -> Adapted:
    from deep.adapters import libraries
    from deep.adapters.conventions import conventions, trying
    from deep.adapters.packed import in_order

    owners = (thing, getattr(function, "__self__", None))
    modules: tuple[Any, ...] = tuple(m for m in owners if _is_module(m))[:1]
    library = "torch" if torch else "plain"
    convert = conventions(torch, *modules)
    shown = function.forward if _is_module(function) else function
    loss, notes = in_order(libraries.with_names(shown), convert, beta)
    loss = trying(loss, convert)
    if not modules:
        return Adapted(library, "loss", loss=loss, convert=convert, state=libraries.kept,
                       notes=notes)  # fmt: skip

    def in_mode(training: bool) -> Any:
        @functools.wraps(loss)
        def called(*parts: Any) -> Any:
            modules[0].train(training)
            return loss(*parts)

        return called

    return Adapted(library, "loss", loss=in_mode(True), evaluation=in_mode(False), convert=convert,
                   state=lambda: libraries.kept(modules), notes=notes)  # fmt: skip


def _read_model_of(trained: Any) -> Any:
    """The model in what a trainer returned: itself, or the first part of a tuple.

    Raises
    ------
    InputError
        It is a module with nothing but forward, which does not show q(z|x).
    """
    if isinstance(trained, Adapted):
        return trained
    candidates = trained if isinstance(trained, tuple) else (trained,)
    for candidate in candidates:
        adapted = adapt(candidate, kind="model")
        if adapted is not None:
            return adapted
    if any(_is_module(candidate) and not hasattr(candidate, "encode") for candidate in candidates):
        name = type(next(c for c in candidates if _is_module(c))).__name__
        fail("model", f"{name}, a module with forward alone", "encode(x) -> (mean, log_var) and "
             "decode(z) -> x_hat", "give it these two methods")  # fmt: skip
    return trained
