r"""Any network made of linear and convolutional layers, turned into one for every β.

.. math:: W^{(\ell)}(\beta)\,h + b^{(\ell)} \;\to\;
          \sigma(w^{(\ell)} t + v^{(\ell)}) \odot (W^{(\ell)} h + b^{(\ell)})

One gate per output row (per output channel of a convolution), on the pre-activation. The gates of
all layers are evaluated once per call, before it, and handed to the layers for the length of that
call only: a context variable, so that threads and nested models do not meet.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn

from deep._checks import fail
from deep._gated_layers import GatedLayer, Gates, Placement, gated_layers
from deep.gate_banks import GateBank, GateFeatures, Modulation
from deep.gates import BetaInput

__all__ = ["GatedLayer", "MultiRate", "Placement", "multi_rate"]


def multi_rate(
    module: nn.Module,
    *,
    beta_range: tuple[float, float],
    gate: Gates = "sigmoid",
    gated: Sequence[str] = ("*",),
    ungated: Sequence[str] = (),
    placement: Placement = "before_norm",
    gate_hidden: int | None = None,
    slope_std: float = 0.0,
    generator: torch.Generator | None = None,
    copied: bool = True,
) -> MultiRate:
    """Put gates on the layers of a network.

    The result starts as the network it was made from: every gate is 1 at every β (see
    :class:`deep.gate_banks.GateBank`), unless slopes are drawn.

    Parameters
    ----------
    module : nn.Module
        With layers of ``Linear`` or of convolutions, plain or transposed, in one to three
        dimensions; layers of other kinds stay as they are. A layer used twice has one set of gates;
        two layers that share a weight have their own.
    beta_range : (a, b)
        The range over which log β is standardised.
    gate : str or mapping
        One kind for all layers, or kinds by pattern of layer names; the first pattern that matches
        counts and ``"none"`` leaves a layer without gates. So encoder and decoder can differ.
    gated, ungated : sequence of str
        Patterns (fnmatch, case-sensitive) of qualified layer names; a layer has gates if one of
        ``gated`` and none of ``ungated`` matches.
    placement : str
        ``"before_norm"`` gates the output of the layer. ``"after_norm"`` gates the output of the
        batch, group or layer normalisation registered right after the layer in the same module;
        where none follows, the layer's own output. A call fails if that normalisation then does not
        get the layer's output.
    gate_hidden : int, optional
        Width of a hidden layer between log β and the gates, one for all of them
        (:class:`deep.gate_banks.GateFeatures`); needs a generator. With gate ``"film"`` it is the
        loss-conditional training of Dosovitskiy & Djolonga 2020.
    slope_std, generator
        Random initial slopes instead of zero.
    copied : bool
        False puts the gates on `module` itself; it can then be called through the result only.

    Raises
    ------
    InputError
        A pattern or kind that fits nothing, no layer to gate, normalisations that cannot be told
        apart, a lazy layer without weights yet, the output layer of an attention module, which uses
        its weights without calling it, bad numbers. Others that do so are noticed when the result
        is first called.

    Notes
    -----
    Activation checkpointing is not supported: it runs layers again after the call, when there are
    no gates, and so raises.

    Source: Bae et al. 2023, Eq. 6 to 9.
    """
    layers = gated_layers(module, gate, gated, ungated, placement)
    held = copy.deepcopy(module) if copied else module
    return MultiRate(
        held, layers, BetaInput.of_range(beta_range), slope_std, generator, gate_hidden
    )


class MultiRate(nn.Module):
    """A network with gates; made by :func:`multi_rate`.

    Attributes
    ----------
    module : nn.Module
        The network. Calling it directly raises: without β there are no gates.
    gates : nn.ModuleDict
        One :class:`deep.gate_banks.GateBank` per kind.
    features : GateFeatures or None
        The hidden layer before them.
    layers : tuple of GatedLayer
        What is gated, in the order of the rows of the banks.
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[GatedLayer],
        inputs: BetaInput,
        slope_std: float = 0.0,
        generator: torch.Generator | None = None,
        gate_hidden: int | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.inputs = inputs
        kinds = dict.fromkeys(layer.gate for layer in layers)
        self.layers = tuple(layer for kind in kinds for layer in layers if layer.gate == kind)
        groups = {kind: [layer for layer in layers if layer.gate == kind] for kind in kinds}
        self._split = {
            kind: ([layer.layer for layer in group], [layer.rows for layer in group])
            for kind, group in groups.items()
        }
        like = cast(nn.Linear, module.get_submodule(self.layers[0].layer)).weight
        self.features: GateFeatures | None = None
        if gate_hidden is not None:
            self.features = GateFeatures(
                gate_hidden, generator, dtype=like.dtype, device=like.device
            )
        banks = {}
        for kind in kinds:
            banks[kind] = GateBank(
                sum(self._split[kind][1]),
                kind,
                slope_std=slope_std,
                generator=generator,
                like=like.detach(),
                width=gate_hidden,
            )
        self.gates = nn.ModuleDict(banks)
        self._key = _Key()
        self._all_called = False  # until a call has shown that every gate acts
        for layer in self.layers:
            _attach(self._key, layer, module)

    def forward(
        self,
        *inputs: Any,
        beta: Tensor | float,
        sharpness: float = math.inf,
        **options: Any,
    ) -> Any:
        """Call the network at β.

        Parameters
        ----------
        inputs, options
            Its own arguments.
        beta : float or Tensor () or (N,)
            One for the batch, or one per example: the outputs of gated layers then start with N.
        sharpness : float
            Of smoothed gates.

        Raises
        ------
        InputError
            β of another shape, or not positive and finite; a gated layer that the first call leaves
            out, as one is of which the network uses the weights alone.
        """
        call = _Call(self.modulations(beta, sharpness))
        call.called = None if self._all_called else set()
        with self._lent(call):
            output = self.module(*inputs, **options)
        if call.called is not None:
            _check_called(self.layers, call.called)
            self._all_called = True
        return output

    @contextmanager
    def at(self, beta: Tensor | float, sharpness: float = math.inf) -> Iterator[nn.Module]:
        """Lend the network with the gates of β, to call its other methods in a ``with`` block."""
        with self._lent(_Call(self.modulations(beta, sharpness))):
            yield self.module

    @contextmanager
    def _lent(self, call: _Call) -> Iterator[None]:
        if torch.compiler.is_compiling():
            before, self._key.lent = self._key.lent, call
            try:
                yield
                call.check_finished()
            finally:
                self._key.lent = before
            return
        token = _ACTIVE.set({**_ACTIVE.get(), self._key: call})
        try:
            yield
            call.check_finished()
        finally:
            _ACTIVE.reset(token)

    def modulations(
        self, beta: Tensor | float, sharpness: float = math.inf
    ) -> dict[str, Modulation]:
        """Gate values by layer name: scales and shifts (rows,), or (N, rows) for N β's."""
        banks = self.gates._modules  # read once: attributes of modules are slow to look up
        t: Tensor | None = None
        found: dict[str, Modulation] = {}
        for kind, (names, rows) in self._split.items():
            bank = cast(GateBank, banks[kind])
            if t is None:
                t = self._inputs(beta, bank.bias)
            found.update(zip(names, bank.split(t, rows, sharpness), strict=True))
        return found

    def _inputs(self, beta: Tensor | float, like: Tensor) -> Tensor:
        t = self.inputs(beta, like)
        if t.ndim > 1:
            fail("beta", f"shape {tuple(t.shape)}", "() or (N,)",
                 "pass one β, or one per example")  # fmt: skip
        features = self.features
        return t if features is None else features(t)

    def extra_repr(self) -> str:
        """Say what is gated."""
        lines = (f"{s.layer or '(module)'}: {s.gate} × {s.rows}" for s in self.layers)
        return "gated: " + ", ".join(lines)


class _Key:
    """Tells the calls of one model from those of another; copied together with it."""

    lent: _Call | None = None  # in place of the context variable, which compilation cannot follow


class _Call:
    """What one call lends to its layers."""

    def __init__(self, modulations: dict[str, Modulation]) -> None:
        self.modulations = modulations
        self.outputs: dict[GatedLayer, Tensor] = {}  # that still wait for their normalisation
        self.called: set[str] | None = None  # names of layers, if they are to be remembered

    def wait(self, layer: GatedLayer, output: Tensor) -> None:
        self.check_finished()
        self.outputs[layer] = output

    def check_finished(self) -> None:
        for layer in self.outputs:
            _refuse_norm(layer)


def _refuse_norm(layer: GatedLayer) -> NoReturn:
    fail(f"placement of the gates of {layer.layer!r}", f"{layer.at!r} not called on its output",
         "a normalisation of that layer's output, before the next such layer",
         "list the layer in ungated, or use placement='before_norm'")  # fmt: skip


def _check_called(layers: Sequence[GatedLayer], called: set[str]) -> None:
    missing = [layer.layer for layer in layers if layer.layer not in called]
    if missing:
        names = ", ".join(map(repr, missing))
        fail("gated layers", f"{names} not called in the first call, so that the gates do nothing",
             "a call of each (its weights may be used without one)",
             f"pass ungated=({names},), or make calls that leave them out on purpose in "
             "`with model.at(beta) as network:`")  # fmt: skip


_ACTIVE: ContextVar[Mapping[_Key, _Call]] = ContextVar("_ACTIVE", default=MappingProxyType({}))


def _current(key: _Key, name: str) -> _Call:
    call = key.lent if torch.compiler.is_compiling() else _ACTIVE.get().get(key)
    if call is None:
        fail("beta", f"a call of {name or 'the network'!r} without it",
             "a call through its MultiRate",
             "call model(..., beta=...), or use `with model.at(beta) as network:`")  # fmt: skip
    return call


class _Remember:
    """Hook of a layer whose gates sit on the normalisation after it."""

    def __init__(self, key: _Key, layer: GatedLayer) -> None:
        self.key, self.layer = key, layer

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        _current(self.key, self.layer.layer).wait(self.layer, output)


class _Apply:
    """Hook of the module whose output is gated."""

    def __init__(self, key: _Key, layer: GatedLayer, spatial: int) -> None:
        self.key, self.layer, self.spatial = key, layer, spatial
        self.waits = layer.at != layer.layer

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        layer = self.layer
        call = _current(self.key, layer.layer)
        if call.called is not None:
            call.called.add(layer.layer)
        if self.waits and call.outputs.pop(layer, None) is not inputs[0]:
            _refuse_norm(layer)
        scale, shift = call.modulations[layer.layer]
        if scale is not None:
            scale = self._shaped(scale, output)
        if shift is None:
            return output * scale
        shift = self._shaped(shift, output)
        return output + shift if scale is None else torch.addcmul(shift, output, scale)

    def _shaped(self, rows: Tensor, output: Tensor) -> Tensor:
        if rows.dtype != output.dtype:  # autocast: gates are computed in full precision
            rows = rows.to(output.dtype)
        spatial = self.spatial
        if rows.ndim == 2:
            n = len(rows)
            if output.ndim < 2 + spatial or len(output) != n:
                fail("beta", f"{n} values at {self.layer.layer!r}, whose output has shape "
                     f"{tuple(output.shape)}", "() or (N,), N the first number of that shape",
                     "pass one β, or one per example")  # fmt: skip
            if output.ndim > 2:
                middle = () if spatial else (1,) * (output.ndim - 2)
                return rows.reshape(n, *middle, -1, *(1,) * spatial)
        return rows[(..., *(None,) * spatial)] if spatial else rows


def _attach(key: _Key, layer: GatedLayer, module: nn.Module) -> None:
    own = module.get_submodule(layer.layer)
    # Axes after that of the rows.
    spatial = 0 if isinstance(own, nn.Linear) else len(cast(nn.Conv2d, own).kernel_size)
    hook = _Apply(key, layer, spatial)
    if layer.at != layer.layer:
        own.register_forward_hook(_Remember(key, layer))
    module.get_submodule(layer.at).register_forward_hook(hook)
