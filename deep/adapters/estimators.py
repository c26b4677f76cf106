"""Classes made with a number of latents and β, trained by ``fit(X)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deep._checks import fail
from deep.adapters.adapted import Adapted
from deep.adapters.conventions import conventions, trying_to_train
from deep.adapters.libraries import seed_all, speaks_torch
from deep.adapters.lightning_modules import kept_without_files
from deep.adapters.names import required, role, signature_of

__all__ = ["adapt_estimator_of_vae", "is_estimator_of_vae"]

_ROLES = ("latent_dim", "beta", "seed", "n_features")


def _make(thing: Any) -> type:
    return thing if isinstance(thing, type) else type(thing)


def _roles(make: type) -> dict[str, str | None]:
    """Name -> role of what it is made with."""
    found = signature_of(make) or []
    return {p.name: role(p.name, _ROLES) for p in found if p.kind not in (p.VAR_POSITIONAL,
            p.VAR_KEYWORD)}  # fmt: skip


def is_estimator_of_vae(thing: Any) -> bool:
    """Whether it is made with a number of latents and β, and trained by fit(X) alone."""
    make = _make(thing)
    fit = getattr(make, "fit", None)
    if not callable(fit) or not {"latent_dim", "beta"} <= set(_roles(make).values()):
        return False
    needed = [p.name for p in (signature_of(fit) or [])[1:] if required(p)]  # without self
    return len(needed) == 1 and role(needed[0], ("samples",)) is not None


def adapt_estimator_of_vae(thing: Any, read: Callable[[Any], Any]) -> Adapted:
    """A class, or one of its objects whose other settings are kept, as a trainer.

    Parameters
    ----------
    thing : type or object
        As :func:`is_estimator_of_vae` knows it.
    read : callable(trained) -> model
        Turns what ``fit`` returns, or the object itself, into a model with encode and decode.

    Raises
    ------
    InputError
        A parameter without a default that is none of latent_dim, beta, seed and n_features.
    """
    make: Any = _make(thing)
    roles = _roles(make)
    settings = {} if isinstance(thing, type) else {
        name: getattr(thing, name) for name in roles if hasattr(thing, name)}  # fmt: skip
    unknown = [p.name for p in signature_of(make) or ()
               if required(p) and roles[p.name] is None and p.name not in settings]  # fmt: skip
    if unknown:
        fail(make.__name__, f"parameters {', '.join(unknown)}", "a number of latents and beta",
             "make one in your module: subject = a function fit(X, beta, latent_dim, seed)",
             )  # fmt: skip
    torch = speaks_torch(make.fit)
    convert = conventions(torch, double=False)

    def fit(X: Any, beta: float, latent_dim: int, seed: int) -> Any:
        given = {"latent_dim": latent_dim, "beta": beta, "seed": seed, "n_features": X.shape[1]}
        named = {name: given[part] for name, part in roles.items() if part is not None}
        seed_all(seed)
        made = make(**{**settings, **named})
        trained = read(made.fit(convert(X)))
        return trained if isinstance(trained, Adapted) else read(made)

    return Adapted(
        "torch" if torch else "plain", "trainer", fit=trying_to_train(fit, convert),
        state=kept_without_files, notes=(f"trained by {make.__name__}.fit",),
    )  # fmt: skip
