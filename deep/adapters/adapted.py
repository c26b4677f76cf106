"""What every adapter hands over: plain callables, whatever library they came from."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Adapted", "AdaptedLoss", "Kind", "gradient_with", "unchanged"]

Kind = Literal["loss", "model", "trainer", "metric"]


def unchanged(array: Any) -> Any:
    """The conversion for code that takes NumPy arrays."""
    return array


def gradient_with(
    convert: Callable[[Any], Any],
) -> Callable[[Callable[..., Any], list[Any]], list[Any] | None]:
    """Gradients by torch's autograd: of ``function(*tensors)`` with respect to NumPy arrays.

    Parameters
    ----------
    convert : callable
        NumPy array to tensor.

    Returns
    -------
    callable(function, arrays) -> list of ndarray, or None
        None where the value is no tensor with a graph; zeros for an array it does not depend on.
    """

    def gradient(function: Callable[..., Any], arrays: list[Any]) -> list[Any] | None:
        torch: Any = sys.modules.get("torch")
        leaves = [convert(array) for array in arrays]
        if torch is None or not all(isinstance(leaf, torch.Tensor) for leaf in leaves):
            return None
        with torch.inference_mode(False), torch.enable_grad():
            leaves = [leaf.detach().clone().requires_grad_() for leaf in leaves]
            # Copies within the graph: their code may work in place, which leaves refuse.
            total = function(*(leaf.clone() for leaf in leaves))
            if not isinstance(total, torch.Tensor) or not total.requires_grad:
                return None
            found = torch.autograd.grad(total.sum(), leaves, allow_unused=True)
        pairs = zip(leaves, found, strict=True)
        whole = [torch.zeros_like(leaf) if g is None else g for leaf, g in pairs]
        return [g.detach().cpu().double().numpy() for g in whole]

    return gradient


class AdaptedLoss:
    """A loss as an adapter hands it over: callable, and able to give gradients and to be seeded.

    What an examination may ask of it beside values: ``gradient(function, arrays)``,
    ``reseed(seed)``, ``with_log_var`` (the same loss with another reading of a parameter) and
    ``defaults`` (numbers of parameters that are not given), the last two where there are any.
    """

    of_adapter = True

    def __init__(self, loss: Callable[..., Any], convert: Callable[[Any], Any]) -> None:
        functools.update_wrapper(self, loss)
        self._loss = loss
        self.gradient = gradient_with(convert)

    def __call__(self, *parts: Any) -> Any:
        """(x, x_hat, mean, log_var) -> what the original returns."""
        return self._loss(*parts)

    def reseed(self, seed: int) -> None:
        """Seed all generators that the original may draw from."""
        from deep.adapters.libraries import seed_all

        seed_all(seed)


@dataclass(frozen=True, eq=False)
class Adapted:
    """Somebody's loss, model, trainer or metric in the form an examination calls.

    Attributes
    ----------
    library : str
        What it was recognised as, such as ``"torch"``.
    kind : {"loss", "model", "trainer", "metric"}
        Which of the callables below are there.
    loss : callable(x, x_hat, mean, log_var) -> number or mapping
        Arguments are put in the order and under the names of the original.
    evaluation : callable, optional
        The same loss in evaluation mode, where the original has modes.
    encode : callable(x) -> (mean, log_var)
    decode : callable(z) -> x_hat
    fit : callable(X, beta, latent_dim, seed) -> Adapted of kind "model"
    metric : callable
        The original, with its arguments converted.
    convert : callable(ndarray) -> array
        NumPy array to what the original takes.
    state : callable() -> context manager
        Keeps the library's seeds, modes and defaults while their code runs.
    train, eval, modules, buffers : callable() -> object, optional
        Of the original, where it is a network: its modes, its parts, its running statistics.
    betas : tuple of float, optional
        The only β's a trainer knows; None when it takes any.
    noise_variance : float, optional
        σ² of p(x|z) where the original states it.
    latent_dim : int, optional
        Number of latents where the original states it.
    notes : tuple of str
        What had to be guessed, one sentence each.
    """

    library: str
    kind: Kind
    loss: Callable[..., Any] | None = None
    evaluation: Callable[..., Any] | None = None
    encode: Callable[..., Any] | None = None
    decode: Callable[..., Any] | None = None
    fit: Callable[..., Any] | None = None
    metric: Callable[..., Any] | None = None
    convert: Callable[[Any], Any] = unchanged
    state: Callable[[], AbstractContextManager[Any]] = nullcontext
    train: Callable[[], Any] | None = None
    eval: Callable[[], Any] | None = None
    modules: Callable[[], Any] | None = None
    buffers: Callable[[], Any] | None = None
    betas: tuple[float, ...] | None = None
    noise_variance: float | None = None
    latent_dim: int | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("loss", "evaluation"):
            loss = getattr(self, name)
            if loss is not None and not isinstance(loss, AdaptedLoss):
                object.__setattr__(self, name, AdaptedLoss(loss, self.convert))

    @property
    def training(self) -> bool:
        """Whether the network is in training mode now."""
        parts = [] if self.modules is None else list(self.modules())
        return bool(parts) and bool(parts[0].training)
