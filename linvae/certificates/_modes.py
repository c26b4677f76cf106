r"""A hypernetwork read mode by mode, as exact binary numbers, and its gates in ball arithmetic.

Row i of the encoder and column i of the decoder are a gate of log β times a constant vector. With
the layers' slopes and biases the gate's argument is :math:`x = A\log\beta + B`; the exact response
has :math:`y = \log\beta - s`, s = log λᵢ − log σ².
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from linvae._validation import FloatArray, fail
from linvae.hypernetwork import GatedLayer, Hypernetwork
from linvae.spectrum import Spectrum

from ._balls import Ball, ball, flint

__all__ = ["Direction", "Gate", "Mode", "gate_at", "gate_over", "read_modes"]


@dataclass(frozen=True)
class Gate:
    """One gate of log β: its kind, the slope and bias of its argument."""

    kind: str
    slope: Ball
    bias: Ball

    def argument(self, log_beta: Ball) -> Ball:
        """Return A log β + B."""
        return self.slope * log_beta + self.bias


@dataclass(frozen=True)
class Direction:
    r"""A gated vector :math:`g\,p` beside its target :math:`h\,u`, in units that make h a gate.

    Attributes
    ----------
    gate : Gate
    own, cross, target : Ball
        Inner products p·p, p·u and u·u.
    overlaps : tuple of Ball
        Inner products of p with the stored eigenvectors of all modes that have variance.
    error : Ball
        ‖p − u‖; of a mode without variance, whose target is 0, ‖p‖.
    """

    gate: Gate
    own: Ball
    cross: Ball
    target: Ball
    error: Ball
    overlaps: tuple[Ball, ...]


@dataclass(frozen=True)
class Mode:
    """One latent: its log critical β (None without variance), encoder, decoder and variance."""

    threshold: Ball | None
    value: Ball  # λ
    encoder: Direction
    decoder: Direction
    posterior: tuple[Gate, Gate]
    posterior_base: Ball


def _sqrt_relu(x: Ball) -> Ball:
    inside = -x.expm1()
    if inside <= 0:
        return ball(0)
    low = inside.lower()
    return (low.sqrt() if low > 0 else ball(0)).union(inside.upper().sqrt())


def _sigmoid(x: Ball) -> Ball:
    return 1 / (1 + (-x).exp())


def _min_exp(x: Ball) -> Ball:
    return x.min(ball(0)).exp()


_AT = {"sqrt_relu": _sqrt_relu, "sigmoid": _sigmoid, "min_exp": _min_exp}


def gate_at(kind: str, x: Ball) -> Ball:
    """Value of a gate at a number known to within rounding."""
    return _AT[kind](x)


def gate_over(kind: str, x: Ball) -> Ball:
    """Range of a gate over a ball; every gate is monotone, so its ends are enough."""
    return gate_at(kind, x.lower()).union(gate_at(kind, x.upper()))


def _gate(layer: GatedLayer, row: int, hyper: Hypernetwork) -> Gate:
    """Gate of one row, as a function of log β rather than of the standardised input."""
    slope = ball(layer.w_hyper[row]) / ball(hyper.input_std)
    return Gate(layer.gate, slope, ball(layer.b_hyper[row]) - slope * ball(hyper.input_mean))


def _constants(layer: GatedLayer, name: str) -> list[Ball]:
    """Values of gates that do not depend on β, one per row."""
    if layer.w_hyper.any():
        fail(
            "hypernetwork",
            f"gates that vary with β in the {name}",
            "slope 0 in the layers that only carry directions",
            "certify a hypernetwork of the form of Hypernetwork.exact",
        )
    values = {bias: gate_at(layer.gate, ball(bias)) for bias in set(layer.b_hyper.tolist())}
    return [values[bias] for bias in layer.b_hyper.tolist()]


def _stored(vectors: FloatArray) -> Any:
    """Columns as a matrix of balls; None when there are none."""
    rows = [[ball(entry) for entry in row] for row in vectors.tolist()]
    return flint().arb_mat(rows) if vectors.size else None


def _direction(
    gate: Gate, vector: list[Ball], target: FloatArray, alive: bool, stored: Any
) -> Direction:
    """Inner products of the constant vector p with the stored eigenvector u."""
    u = [ball(entry) for entry in target.tolist()]
    own = sum((a * a for a in vector), ball(0))
    cross = sum((a * b for a, b in zip(vector, u, strict=True)), ball(0))
    distance = sum(((a - b) * (a - b) for a, b in zip(vector, u, strict=True)), ball(0))
    squared = distance if alive else own
    error = squared.upper().sqrt() if squared.upper() > 0 else ball(0)
    overlaps = () if stored is None else tuple((flint().arb_mat([vector]) * stored).entries())
    return Direction(gate, own, cross, sum((b * b for b in u), ball(0)), error, overlaps)


def _check_form(hyper: Any, spectrum: Spectrum, latent_dim: int) -> None:
    """Refuse networks whose layers are not those of Hypernetwork.exact."""
    if not isinstance(hyper, Hypernetwork):
        fail("hypernetwork", type(hyper).__name__, "a Hypernetwork", "build one with .exact")
    n, k = spectrum.n_features, latent_dim
    pairs = (hyper.encoder, hyper.posterior, hyper.decoder)
    form = [tuple(layer.base.shape for layer in pair) for pair in pairs]
    if form != [((n,), (k, n)), ((k,), (k,)), ((k,), (n, k))]:
        fail(
            "hypernetwork",
            f"encoder {form[0]}, posterior {form[1]}, decoder {form[2]}",
            f"encoder (({n},), ({k}, {n})), posterior (({k},), ({k},)), "
            f"decoder (({k},), ({n}, {k}))",
            "certify a hypernetwork of the form of Hypernetwork.exact",
        )


def read_modes(
    hyper: Hypernetwork, spectrum: Spectrum, latent_dim: int, noise_variance: float
) -> list[Mode]:
    """Every latent of a hypernetwork of the form of Hypernetwork.exact, beside its target.

    Raises
    ------
    InputError
        Layers of another form, or gates that vary with β where directions are carried.
    """
    _check_form(hyper, spectrum, latent_dim)
    values = spectrum.leading_eigenvalues(latent_dim).tolist()
    vectors = spectrum.leading_eigenvectors(latent_dim)
    read_first, read = hyper.encoder
    write, write_last = hyper.decoder
    read_gates = [
        g * ball(b)
        for g, b in zip(
            _constants(read_first, "encoder's first layer"), read_first.base, strict=True
        )
    ]
    write_gates = _constants(write_last, "decoder's second layer")
    stored = _stored(vectors[:, spectrum.leading_eigenvalues(latent_dim) > 0])
    log_noise = ball(noise_variance).log()
    modes = []
    for i, value in enumerate(values):
        alive = value > 0
        root = ball(value).sqrt() if alive else ball(1)
        reader = [
            root * ball(b) * g for b, g in zip(read.base[i].tolist(), read_gates, strict=True)
        ]
        scale = ball(write.base[i]) / root
        writer = [
            scale * ball(b) * g
            for b, g in zip(write_last.base[:, i].tolist(), write_gates, strict=True)
        ]
        first, second = hyper.posterior
        modes.append(
            Mode(
                ball(value).log() - log_noise if alive else None,
                ball(value),
                _direction(_gate(read, i, hyper), reader, vectors[:, i], alive, stored),
                _direction(_gate(write, i, hyper), writer, vectors[:, i], alive, stored),
                (_gate(first, i, hyper), _gate(second, i, hyper)),
                ball(first.base[i]) * ball(second.base[i]),
            )
        )
    return modes
