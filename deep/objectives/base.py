"""The contract between an objective and the training loop."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

__all__ = ["LossTerms", "Objective"]


class LossTerms(NamedTuple):
    """One step's loss with the numbers worth recording, all nats.

    Attributes
    ----------
    loss : Tensor ()
        What is differentiated.
    rate, distortion : Tensor ()
        Averages over the batch, detached.
    beta : Tensor () or (N,)
        The KL weights of this step, detached.
    """

    loss: Tensor
    rate: Tensor
    distortion: Tensor
    beta: Tensor


class Objective(Protocol):
    """A loss for one batch; a pure function of its arguments."""

    def __call__(
        self, model: nn.Module, samples: Tensor, *, done: float, generator: torch.Generator
    ) -> LossTerms:
        """Evaluate on samples (N, ...).

        done is the part of the training behind us, in [0, 1]; annealing reads it. The generator
        (fresh for this step, on the samples' device) is the only source of randomness.
        """
        ...
