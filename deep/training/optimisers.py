"""Adam and AdamW: groups of parameters, the learning rate as a function of the step, the state."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from deep._checks import fail
from deep.config import OptimiserConfig
from deep.errors import CheckpointError, InputError
from deep.gates import RowGates

__all__ = [
    "build",
    "gradient_norm",
    "learning_rate_factor",
    "load_state",
    "named_parameters",
    "scale_gradients",
    "set_learning_rates",
    "state_tensors",
]

_STATE_KEYS = ("step", "exp_avg", "exp_avg_sq")


def learning_rate_factor(step: int, total: int, config: OptimiserConfig) -> float:
    r"""Learning rate of a step counted from 0, as a part of the largest.

    .. math:: f(s) = \begin{cases} (s + 1) / w & s < w \\
              f_T + (1 - f_T)\,\tfrac12\bigl(1 + \cos\pi\tfrac{s - w}{T - w}\bigr) & s \ge w
              \end{cases}

    with w warm-up steps of T, and f_T = ``final``.
    """
    warm = math.ceil(config.warmup * total)
    if step < warm:
        return (step + 1) / warm
    cosine = 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
    return config.final + (1 - config.final) * cosine


def named_parameters(model: nn.Module, objective: object) -> dict[str, nn.Parameter]:
    """Everything that is trained, as ``model.…`` and ``objective.…``."""
    found = {f"model.{n}": p for n, p in model.named_parameters() if p.requires_grad}
    if isinstance(objective, nn.Module):
        own = {id(p) for p in found.values()}
        for name, parameter in objective.named_parameters():
            if parameter.requires_grad and id(parameter) not in own:
                found[f"objective.{name}"] = parameter
    if not found:
        fail("model", f"{type(model).__name__} without parameters to train", "at least one",
             "set requires_grad")  # fmt: skip
    return found


def build(
    model: nn.Module, objective: object, config: OptimiserConfig, *, fused: bool
) -> torch.optim.Optimizer:
    """Return the optimiser, with no weight decay on vectors and numbers.

    A model may say which of its parameters are gates by ``parameter_groups()``, a list of
    ``{"params": [...], "role": "weights" | "gates"}`` that names each parameter once; otherwise
    gates are the parameters of :class:`deep.gates.RowGates`.

    Raises
    ------
    InputError
        Groups that leave a parameter out, name one twice or have an unknown role.
    """
    roles = _roles(model)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in named_parameters(model, objective).values():
        is_gate = roles.get(id(parameter)) == "gates"
        largest = (config.gate_learning_rate if is_gate else None) or config.learning_rate
        decay = config.weight_decay if parameter.ndim >= 2 else 0.0
        groups.setdefault((largest, decay), []).append(parameter)
    settings = [
        {"params": parameters, "largest": largest, "weight_decay": decay}
        for (largest, decay), parameters in groups.items()
    ]
    # One fused pass over memory: a third of the time of the others on CPU, and as deterministic.
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(settings, lr=0.0, betas=(config.beta1, config.beta2), fused=fused or None)


def set_learning_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Give every group the stated part of its largest rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["largest"] * factor


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Euclidean norm of all gradients together, shape ()."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norms = [
        torch.linalg.vector_norm(g, dtype=torch.float32 if g.dtype == torch.bfloat16 else None)
        for g in gradients
    ]
    if not norms:
        fail("loss", "no gradient in any parameter", "a loss that depends on the parameters",
             "do not detach it")  # fmt: skip
    if len({n.dtype for n in norms}) > 1:
        norms = [n.to(torch.float64) for n in norms]
    return torch.linalg.vector_norm(torch.stack(norms))


def scale_gradients(parameters: Iterable[Tensor], norm: Tensor, largest: float) -> None:
    """Shorten the gradients to the largest norm where theirs is larger; no wait for a device."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if norm.device.type == "cpu" and not norm > largest:
        return
    factor = torch.clamp(largest / norm, max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.to(gradient.dtype))


def state_tensors(
    optimiser: torch.optim.Optimizer, named: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """Moments and step counts by name of the parameter: ``exp_avg.model.…`` and so on."""
    found = {}
    for name, parameter in named.items():
        for key, value in optimiser.state.get(parameter, {}).items():
            found[f"{key}.{name}"] = value
    return found


def load_state(
    optimiser: torch.optim.Optimizer,
    named: Mapping[str, nn.Parameter],
    tensors: Mapping[str, Tensor],
) -> None:
    """Put back what :func:`state_tensors` gave.

    Raises
    ------
    CheckpointError
        State of other parameters, or of other shapes.
    """
    by_parameter: dict[str, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        key, _, name = full.partition(".")
        fits = name in named and (key == "step" or tensor.shape == named[name].shape)
        if key not in _STATE_KEYS or not fits:
            fail("optimiser", f"state {full} of shape {tuple(tensor.shape)}",
                 "that of this run's parameters", "build the model from the run's configuration",
                 CheckpointError)  # fmt: skip
        by_parameter.setdefault(name, {})[key] = tensor
    names = {id(parameter): name for name, parameter in named.items()}
    plain = optimiser.state_dict()
    order = [names[id(p)] for group in optimiser.param_groups for p in group["params"]]
    plain["state"] = {i: by_parameter[n] for i, n in enumerate(order) if n in by_parameter}
    optimiser.load_state_dict(plain)


def _roles(model: nn.Module) -> dict[int, str]:
    offered = getattr(model, "parameter_groups", None)
    if offered is None:
        gates = (m for m in model.modules() if isinstance(m, RowGates))
        return {id(p): "gates" for gate in gates for p in gate.parameters()}
    roles: dict[int, str] = {}
    listed = 0
    for group in offered():
        role: Any = group.get("role")
        if role not in ("weights", "gates"):
            fail("parameter_groups", f"role {role!r}", "'weights' or 'gates'", "name one of them",
                 InputError)  # fmt: skip
        for parameter in group["params"]:
            roles[id(parameter)] = role
            listed += 1
    missing = [n for n, p in model.named_parameters() if p.requires_grad and id(p) not in roles]
    if missing or listed != len(roles):
        got = f"nothing about {', '.join(missing[:3])}" if missing else "a parameter named twice"
        fail("parameter_groups", got, "each parameter once", "list them all", InputError)
    return roles
