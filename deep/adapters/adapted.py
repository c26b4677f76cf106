"""What every adapter hands over: plain callables, whatever library they came from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Adapted", "Kind", "unchanged"]

Kind = Literal["loss", "model", "trainer", "metric"]


def unchanged(array: Any) -> Any:
    """The conversion for code that takes NumPy arrays."""
    return array


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

    @property
    def training(self) -> bool:
        """Whether the network is in training mode now."""
        parts = [] if self.modules is None else list(self.modules())
        return bool(parts) and bool(parts[0].training)
