"""Arrays or tensors, in which precision: what code takes is guessed, and tried where that fails."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from deep.adapters.adapted import Adapted, unchanged
from deep.adapters.libraries import tensors

__all__ = ["Convention", "conventions", "trying", "trying_to_train"]

Convert = Callable[[Any], Any]

_ABOUT_TYPES = re.compile(r"dtype|scalar type|ndarray|tensor|numpy|double|float", re.IGNORECASE)
_PROBED = 8  # rows a trained model is tried on


class Convention:
    """A conversion that changes into the next of several when the one in use does not fit.

    Parameters
    ----------
    forms : sequence of callable(array) -> array
        The likeliest first; each takes what another has converted.
    """

    def __init__(self, forms: Sequence[Convert]) -> None:
        self.forms = tuple(forms)
        self.chosen = 0

    def __call__(self, array: Any) -> Any:
        """Convert to the form in use."""
        return self.forms[self.chosen](array)


def conventions(torch: bool, module: Any = None, *, double: bool = True) -> Convention:
    """The forms that code may take, beginning with the likeliest.

    Tensors only come into question where torch has been imported: code cannot take them otherwise.
    """
    if "torch" not in sys.modules:
        return Convention((unchanged,))
    forms = [tensors(double=double)]
    if module is not None and next(iter(module.parameters()), None) is not None:
        forms.append(tensors(module))
    if not torch:
        return Convention((unchanged, *forms))
    return Convention((*forms, tensors(double=not double), _plain))


def _plain(array: Any) -> Any:
    """NumPy array of what may have been made a tensor before."""
    return array.detach().cpu().numpy() if hasattr(array, "detach") else array


def _is_about_types(error: Exception) -> bool:
    """Whether code may have failed because arrays or tensors were not what it takes."""
    if isinstance(error, TypeError | AttributeError):
        return True
    return isinstance(error, RuntimeError | ValueError) and bool(_ABOUT_TYPES.search(str(error)))


def _first_that_works(convention: Convention, attempt: Callable[[], Any]) -> Any:
    """Try the form in use, then the others; if none works, the first exception is raised."""
    before, failure = convention.chosen, None
    others = (i for i in range(len(convention.forms)) if i != before)
    for number in (before, *others):
        convention.chosen = number
        try:
            return attempt()
        except Exception as error:
            failure = failure or error
            if not _is_about_types(error):
                break
    convention.chosen = before
    assert failure is not None  # nosec: the loop returns otherwise
    raise failure


def trying(function: Callable[..., Any], convention: Convention) -> Callable[..., Any]:
    """A loss or metric that is called again in another form when types are what it fails for."""

    @functools.wraps(function)
    def called(*parts: Any, **named: Any) -> Any:
        def attempt() -> Any:
            options = {name: _converted(part, convention) for name, part in named.items()}
            return function(*(_converted(part, convention) for part in parts), **options)

        return _first_that_works(convention, attempt)

    return called


def _converted(part: Any, convention: Convention) -> Any:
    """Arrays and tensors with axes in the form in use; numbers and objects as they are."""
    return convention(part) if getattr(part, "shape", ()) else part


def trying_to_train(fit: Callable[..., Any], convention: Convention) -> Callable[..., Any]:
    """A trainer whose data and whose model's inputs are of one form, found by trying.

    Parameters
    ----------
    fit : callable(X, beta, latent_dim, seed) -> Adapted or object
        Converts X by `convention`.
    convention : Convention
        Once a form has worked, later fits keep it.
    """

    def trained(X: Any, beta: float, latent_dim: int, seed: int) -> Any:
        def attempt() -> Any:
            model = fit(X, beta, latent_dim, seed)
            if not isinstance(model, Adapted) or model.library != "plain":
                return model  # networks say themselves what they take
            return _model_that_works(model, convention, X[:_PROBED])

        return _first_that_works(convention, attempt)

    return trained


def _model_that_works(model: Adapted, convention: Convention, rows: Any) -> Adapted:
    """A model that takes arrays, or what its trainer was given."""
    inputs = Convention((model.convert, convention.forms[convention.chosen]))
    encode, decode = model.encode, model.decode
    assert encode is not None  # nosec: of models
    assert decode is not None

    def attempt() -> None:
        decode(inputs(_plain(encode(inputs(rows))[0])))

    _first_that_works(inputs, attempt)
    if inputs.chosen == 0:
        return model
    return replace(
        model,
        convert=inputs,
        encode=lambda x: encode(inputs(x)),
        decode=lambda z: decode(inputs(z)),
    )
