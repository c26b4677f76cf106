"""Where the training runs: Lightning Fabric, threads, and the random state of torch."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from deep._checks import fail
from deep.config import TrainingConfig
from deep.errors import CheckpointError, ConfigError
from deep.randomness import generator

__all__ = [
    "agreed",
    "check_precision",
    "kept_random_state",
    "launch",
    "loss_context",
    "part_of",
    "seed_model",
    "thread_count",
    "versions",
]

_T = TypeVar("_T")


def launch(plan: TrainingConfig) -> Fabric:
    """Start Fabric for the accelerator, devices and precision of the plan.

    Raises
    ------
    ConfigError
        No such accelerator here, or a batch that the devices cannot share equally.
    """
    if plan.batch_size % plan.devices:
        fail("training.batch_size", f"{plan.batch_size} for {plan.devices} devices",
             "a multiple of the devices", "change one of them", ConfigError)  # fmt: skip
    with _quiet():
        try:
            fabric = Fabric(
                accelerator=plan.accelerator, devices=plan.devices, precision=plan.precision
            )
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"training.accelerator: got {plan.accelerator} with {plan.devices} devices "
                f"({error}); expected what this machine has; use accelerator 'cpu' or 'auto'"
            ) from error
        fabric.launch()
    if fabric.world_size > 1:
        # A process group that is not ended can abort the process on its way out.
        atexit.register(_end_process_group)
    return fabric


def _end_process_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def check_precision(model: nn.Module, precision: str) -> None:
    """Refuse weights that the precision would neither convert nor train as it says."""
    kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}
    if precision in ("32-true", "bf16-mixed") and kinds - {torch.float32}:
        fail("training.precision", f"{precision} for {', '.join(sorted(map(str, kinds)))} weights",
             "float32 weights", "use precision '64-true' or build the model in float32",
             ConfigError)  # fmt: skip


def loss_context(fabric: Fabric, precision: str) -> AbstractContextManager[Any]:
    """Keep everything in float64 when asked for; otherwise losses are summed in float32."""
    return fabric.autocast() if precision == "64-true" else nullcontext()


def part_of(samples: Tensor, fabric: Fabric, precision: str) -> Tensor:
    """Contiguous share of the batch of this device; all shares together are the whole batch."""
    if fabric.world_size > 1:
        samples = samples.chunk(fabric.world_size)[fabric.global_rank]
    if precision == "64-true" and samples.is_floating_point():
        samples = samples.double()
    return samples.to(fabric.device, non_blocking=True)


def seed_model(seed: int, step: int, rank: int, device: torch.device) -> None:
    """Set torch's own random state, which dropout reads, as a function of the step."""
    word = generator(seed, "model", step, rank).initial_seed()
    torch.default_generator.manual_seed(word)  # torch.manual_seed takes twenty times as long
    if device.type != "cpu":
        getattr(torch, device.type).manual_seed(word)


@contextmanager
def kept_random_state(device: torch.device) -> Iterator[None]:
    """Give torch's random state back as it was."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


@contextmanager
def thread_count(count: int | None) -> Iterator[None]:
    """Let torch use so many threads inside the block (None: no change)."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count is not None:
            torch.set_num_threads(before)


def agreed(fabric: Fabric, action: Callable[[], _T]) -> _T:
    """Do something on the first process and give its result, or its refusal, to all."""
    if fabric.world_size == 1:
        return action()
    outcome: tuple[Any, str] = (None, "")
    caught: BaseException | None = None
    if fabric.global_rank == 0:
        try:
            outcome = (action(), "")
        except Exception as error:  # re-raised below, after the others heard of it
            caught, outcome = error, (None, str(error) or type(error).__name__)
    result, refusal = fabric.broadcast(outcome)
    if caught is not None:
        raise caught
    if refusal:
        raise CheckpointError(refusal)
    found: _T = result
    return found


def versions(device: torch.device) -> dict[str, str]:
    """What the last digits of a result depend on."""
    return {
        "torch": str(torch.__version__),
        "lightning_fabric": version("lightning-fabric"),
        "device": device.type,
        "threads": str(torch.get_num_threads()),
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what Fabric says about the hardware it found."""
    names = ("lightning_fabric", "lightning.fabric", "lightning_utilities")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
