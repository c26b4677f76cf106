"""Which layers of a network get gates, and where the gates sit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Literal, NamedTuple, cast

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from deep._checks import fail
from deep.gates import KINDS

__all__ = ["GatedLayer", "Gates", "Placement", "check_patterns", "gated_layers"]

Placement = Literal["before_norm", "after_norm"]
Gates = str | Mapping[str, str]

_LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm)


class GatedLayer(NamedTuple):
    """Where one group of gates sits.

    Attributes
    ----------
    layer : str
        Qualified name of the linear or convolutional layer whose rows are counted.
    gate : str
        A kind of :data:`deep.gates.KINDS`.
    rows : int
        Output features or channels.
    at : str
        Qualified name of the module whose output is gated: the layer or the normalisation after it.
    """

    layer: str
    gate: str
    rows: int
    at: str


def gated_layers(
    module: nn.Module,
    gate: Gates,
    gated: Sequence[str],
    ungated: Sequence[str],
    placement: Placement,
) -> list[GatedLayer]:
    """Layers that get gates; arguments and errors as for :func:`deep.conversion.multi_rate`."""
    if placement not in ("before_norm", "after_norm"):
        fail("placement", repr(placement), "'before_norm' or 'after_norm'", "choose one")
    layers = []
    for name, kind in _choose(module, gate, gated, ungated).items():
        layer = module.get_submodule(name)
        norm = _norm_after(module, layer) if placement == "after_norm" else None
        layers.append(_site(layer, name, kind, norm))
    _check_distinct(module, layers)
    return layers


def _is_gated(module: nn.Module) -> bool:
    hooks = module._forward_hooks.values()
    return any(isinstance(getattr(hook, "layer", None), GatedLayer) for hook in hooks)


def _choose(
    module: nn.Module, gate: Gates, gated: Sequence[str], ungated: Sequence[str]
) -> dict[str, str]:
    """Kinds by layer name."""
    names = [
        name
        for name, layer in module.named_modules()
        if isinstance(layer, _LAYERS) and not _is_gated(layer)
    ]
    kinds = {"*": gate} if isinstance(gate, str) else dict(gate)
    for kind in kinds.values():
        if kind not in (*KINDS, "none"):
            fail("gate", repr(kind), f"one of {', '.join(KINDS)} or none", "choose a known gate")
    check_patterns(names, {"gated": gated, "ungated": ungated, "gate": tuple(kinds)})
    chosen: dict[str, str] = {}
    for name in names:
        if not _matches(name, gated) or _matches(name, ungated):
            continue
        first = next((pattern for pattern in kinds if fnmatchcase(name, pattern)), None)
        if first is None:
            fail("gate", f"no pattern for the gated layer {name!r}", "a pattern for each",
                 f"add {name!r}, or '*' at the end")  # fmt: skip
        if kinds[first] != "none":
            chosen[name] = kinds[first]
    if not chosen:
        fail("gated", "no layer that gets gates", f"at least one of {', '.join(names) or 'none'}",
             "loosen the patterns, or use the network as it is")  # fmt: skip
    return chosen


def check_patterns(names: Sequence[str], patterns: Mapping[str, Sequence[str]]) -> None:
    """Fail unless every pattern, listed by argument, matches the name of a layer."""
    for argument, group in patterns.items():
        if isinstance(group, str):
            fail(argument, repr(group), "a sequence of patterns", f"write ({group!r},)")
        for pattern in group:
            if not any(fnmatchcase(name, pattern) for name in names):
                known = ", ".join(names) or "none in this network"
                fail(argument, f"the pattern {pattern!r}, which matches no layer that can get "
                     "gates", f"a name of {known}", "correct or remove it")  # fmt: skip


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _site(layer: nn.Module, name: str, kind: str, norm: str | None) -> GatedLayer:
    if isinstance(layer, nn.modules.linear.NonDynamicallyQuantizableLinear):
        fail(f"the layer {name!r}", "the output of an attention module, which reads its weights "
             "without calling it", "layers that are called",
             f"pass ungated=({name!r},)")  # fmt: skip
    if isinstance(layer, LazyModuleMixin):  # of another class as soon as it has weights
        fail(f"the layer {name!r}", "a lazy one, without weights yet", "layers with weights",
             "call the network once on a batch before converting it")  # fmt: skip
    rows = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    return GatedLayer(name, kind, cast(int, rows), name if norm is None else norm)


def _norm_after(module: nn.Module, layer: nn.Module) -> str | None:
    """Name of the normalisation registered right after a layer, if there is one."""
    found: dict[nn.Module | None, str | None] = {}
    for prefix, parent in module.named_modules():
        children = [(n, c) for n, c in parent._modules.items() if c is not None]
        for (_, child), (name, after) in pairwise([*children, ("", layer)]):
            if child is not layer:
                continue
            if isinstance(after, _NORMS):
                found.setdefault(after, f"{prefix}.{name}".lstrip("."))
            else:
                found[None] = None
    if len(found) > 1:
        what = " and ".join(name or "none" for name in found.values())
        fail("placement", f"a layer used several times, with {what} after it",
             "the same normalisation after each use", "use placement='before_norm'")  # fmt: skip
    return next(iter(found.values()), None)


def _check_distinct(module: nn.Module, layers: list[GatedLayer]) -> None:
    seen: dict[nn.Module, str] = {}
    for layer in layers:
        at = module.get_submodule(layer.at)
        if at in seen:
            fail("placement", f"{layer.at!r} after both {seen[at]!r} and {layer.layer!r}",
                 "a normalisation of its own for each", "use placement='before_norm'")  # fmt: skip
        seen[at] = layer.layer
