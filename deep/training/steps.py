"""One step of the training: batch, loss, gradient, update, and a look at whether all is well."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from deep.config import TrainingConfig
from deep.data.batches import Batches
from deep.errors import DivergenceError
from deep.objectives.base import LossTerms, Objective
from deep.randomness import generator
from deep.training import checkpoints, optimisers
from deep.training.devices import loss_context, part_of, seed_model
from deep.training.health import Watch, diagnosis, first_nonfinite
from deep.training.history import Record

__all__ = ["Steps"]

# Steps between two looks at the numbers. On an accelerator each look waits for the device.
_LOOK_EVERY = {"cpu": 1}
_LOOK_EVERY_ELSEWHERE = 25


class Steps:
    """Model, objective and optimiser, and how a step changes them.

    Attributes
    ----------
    total, per_epoch : int
        Steps of the run and of an epoch.
    checkpoint : Path or None
        The newest good one, for messages.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        objective: Objective,
        batches: Batches,
        plan: TrainingConfig,
        seed: int,
    ) -> None:
        self._fabric, self._model, self._objective = fabric, model, objective
        self._batches, self._plan, self._seed = batches, plan, seed
        self.per_epoch = batches.steps_per_epoch(plan.batch_size)
        self.total = plan.epochs * self.per_epoch
        self.checkpoint: Path | None = None
        self._network = cast(nn.Module, fabric.setup_module(model))
        if isinstance(objective, nn.Module):
            if plan.precision == "64-true":
                objective.double()
            fabric.to_device(objective)
        self._named = optimisers.named_parameters(model, objective)
        fused = fabric.device.type in ("cpu", "cuda")
        self._optimiser = optimisers.build(model, objective, plan.optimiser, fused=fused)
        self._optimiser.zero_grad(set_to_none=True)  # of whatever the model did before
        self._watch = Watch()
        self._look_every = _LOOK_EVERY.get(fabric.device.type, _LOOK_EVERY_ELSEWHERE)
        self._at_once = self._look_every == 1 and fabric.world_size == 1
        self._pending: list[tuple[int, Tensor]] = []
        self._terms: LossTerms | None = None
        self._norm: Tensor | None = None

    # -- a step ----------------------------------------------------------------------------------

    def take(self, step: int) -> None:
        """Do the step counted from 0.

        Raises
        ------
        DivergenceError
            On one CPU, before the update; elsewhere at the next :meth:`look`.
        """
        plan, rank = self._plan, self._fabric.global_rank
        samples = part_of(
            self._batches.batch(step, plan.batch_size, self._seed), self._fabric, plan.precision
        )
        seed_model(self._seed, step, rank, self._fabric.device)
        draws = generator(self._seed, "objective", step, rank, device=self._fabric.device)
        with loss_context(self._fabric, plan.precision):
            terms = self._objective(self._network, samples, done=step / self.total, generator=draws)
        self._fabric.backward(terms.loss)
        self._share_gradients_of_objective()
        norm = optimisers.gradient_norm(self._named.values())
        self._terms, self._norm = terms, norm
        if self._at_once:
            self._check(step, {"loss": float(terms.loss.detach())}, float(norm))
        else:
            values = (terms.loss.detach(), terms.rate, terms.distortion, norm)
            self._pending.append((step, torch.stack([v.to(torch.float32) for v in values])))
        if plan.optimiser.clip is not None:
            optimisers.scale_gradients(self._named.values(), norm, plan.optimiser.clip)
        optimisers.set_learning_rates(self._optimiser, self._factor(step))
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)

    def look(self, *, stop: bool, now: bool) -> bool:
        """Check the steps not looked at yet, when it is time; say whether any process is to stop.

        Raises
        ------
        DivergenceError
            A step went wrong.
        """
        if self._at_once:
            return stop
        alone = self._fabric.world_size == 1
        if not (now or len(self._pending) >= self._look_every or (alone and stop)):
            return False
        if not self._pending:
            return stop and alone
        flag = torch.full((len(self._pending), 1), float(stop), device=self._fabric.device)
        values = torch.cat([torch.stack([v for _, v in self._pending]), flag], dim=1)
        if not alone:
            values = cast(Tensor, self._fabric.all_reduce(values, reduce_op="mean"))
        steps = [step for step, _ in self._pending]
        self._pending.clear()
        rows = values.tolist()
        for step, (loss, rate, distortion, norm, _) in zip(steps, rows, strict=True):
            self._check(step, {"loss": loss, "rate": rate, "distortion": distortion}, norm)
        return any(row[-1] > 0 for row in rows)

    def record(self, step: int, seconds: float) -> Record:
        """Numbers of the last step, which was this one counted from 0."""
        terms, norm = cast(LossTerms, self._terms), cast(Tensor, self._norm)
        # Apple's devices have no float64.
        kind = torch.float32 if self._fabric.device.type == "mps" else torch.float64
        beta = torch.log(terms.beta.detach().to(kind)).mean()
        values = (terms.loss, terms.rate, terms.distortion, beta)
        mean = torch.stack([v.detach().to(kind) for v in values])
        if self._fabric.world_size > 1:
            mean = cast(Tensor, self._fabric.all_reduce(mean, reduce_op="mean"))
        loss, rate, distortion, middle = mean.tolist()
        low, high = torch.aminmax(terms.beta.detach())
        return Record(
            step=step + 1,
            epoch=(step + 1) / self.per_epoch,
            loss=loss,
            rate=rate,
            distortion=distortion,
            beta_low=float(low),
            beta_mean=math.exp(middle) if math.isfinite(middle) else 0.0,
            beta_high=float(high),
            learning_rate=self._rate(step),
            gradient_norm=float(norm),
            seconds=seconds,
        )

    # -- state -----------------------------------------------------------------------------------

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Tensors of model and objective by name.

        Raises
        ------
        DivergenceError
            They are not finite: they are not to be saved.
        """
        culprit = first_nonfinite(self._named)
        if culprit is not None:
            raise DivergenceError(
                f"training: got {culprit} that are not finite after an update; expected finite "
                f"weights; last good checkpoint: {self.checkpoint or 'none was written yet'}; "
                "start again with a lower learning_rate, a longer warmup or clip"
            )
        parts = {"model": checkpoints.tensors_of(self._model)}
        if isinstance(self._objective, nn.Module) and self._objective.state_dict():
            parts["objective"] = checkpoints.tensors_of(self._objective)
        return parts

    def optimiser_state(self) -> dict[str, Tensor]:
        """Tensors of the optimiser by name."""
        return optimisers.state_tensors(self._optimiser, self._named)

    def memory(self) -> dict[str, float | int | None]:
        """What the watch over the loss remembers."""
        return self._watch.memory()

    def put_weights(self, parts: Mapping[str, Mapping[str, Tensor]], source: str) -> None:
        """Copy saved tensors into model and objective."""
        checkpoints.put(self._model, parts["model"], source)
        if isinstance(self._objective, nn.Module):
            checkpoints.put(self._objective, parts.get("objective", {}), source)

    def restore(self, found: checkpoints.Checkpoint) -> None:
        """Go back to a checkpoint."""
        self.put_weights(found.parts, str(found.path))
        optimisers.load_state(self._optimiser, self._named, found.parts["optimiser"])
        self._watch = Watch(found.state["watch"])

    # -- details ---------------------------------------------------------------------------------

    def _factor(self, step: int) -> float:
        return optimisers.learning_rate_factor(step, self.total, self._plan.optimiser)

    def _rate(self, step: int) -> float:
        return self._plan.optimiser.learning_rate * self._factor(step)

    def _share_gradients_of_objective(self) -> None:
        """Average over the processes what the wrapper of the model does not know of."""
        if self._fabric.world_size == 1:
            return
        for name, parameter in self._named.items():
            if name.startswith("objective.") and parameter.grad is not None:
                shared = self._fabric.all_reduce(parameter.grad, reduce_op="mean")
                parameter.grad.copy_(cast(Tensor, shared))

    def _check(self, step: int, terms: dict[str, float], norm: float) -> None:
        complaint = self._watch.complaint(terms["loss"], norm)
        if complaint is None:
            return
        current = cast(LossTerms, self._terms)
        if self._at_once:
            terms |= {"rate": float(current.rate), "distortion": float(current.distortion)}
        raise DivergenceError(
            diagnosis(
                complaint,
                step=step + 1,
                total=self.total,
                terms=terms,
                norm=norm,
                learning_rate=self._rate(step),
                beta=current.beta,
                culprit=first_nonfinite(self._named),
                checkpoint=self.checkpoint,
            )
        )
