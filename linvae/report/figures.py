"""Where the pictures stand on a page, with what they show and their keys; reconstructions, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .images import Images
from .pictures import COLOURS, most_bars
from .sections import number, text

if TYPE_CHECKING:
    from .page import Content

__all__ = ["figures", "reconstructions"]

_MARK = {"multi-rate": "square", "dedicated": "triangle"}
_HUE = {"multi-rate": "vermillion", "dedicated": "green"}
_FIRST_GATE = "#00224e"  # where the colours of the gates begin

Key = tuple[str, str, str]  # shape, colour, words


def figures(content: Content) -> str:
    """The four pictures and, between them, the reconstructions."""
    parts = [_curve(content), _water(content), reconstructions(content.images), _GAINS, _GATES]
    inside = "\n".join(part for part in parts if part)
    return (
        '<section class="needs-script">\n<h2 class="visually-hidden">Pictures</h2>\n'
        f'<p id="trouble" role="alert" hidden></p>\n<div class="pictures">\n'
        f"{inside}\n</div></section>"
    )


def _picture(name: str, title: str, caption: str, key: Sequence[Key]) -> str:
    items = "".join(f"<li>{_symbol(*item[:2])}{text(item[2])}</li>" for item in key)
    return (
        f'<figure aria-labelledby="title-{name}">\n<figcaption>'
        f'<h3 id="title-{name}">{text(title)}</h3>'
        f'<p>{text(caption)}</p><ul class="key">{items}</ul></figcaption>\n'
        f'<div class="picture" id="picture-{name}" role="img" aria-labelledby="title-{name}"></div>'
        "\n</figure>"
    )


def _curve(content: Content) -> str:
    curve = content.curve
    kind = f"the best any linear VAE with k = {curve.latent_dim} latents can do"
    if curve.kind == "shannon":
        kind = "the Shannon rate-distortion function of Gaussian data with this covariance"
    caption = f"The curve is {kind}. At β its slope is −β; at a critical β a mode dies."
    key = [("line", "blue", "optimal linear VAEs"), ("ring", "blue", "critical β"),
           ("dash", "orange", "tangent"), ("diamond", "black", "this β")]  # fmt: skip
    if content.learned is not None:
        caption += " Bars are ± 2 standard errors."
        labels = [part.label for part in content.learned.points]
        key += [(_MARK[label], _HUE[label], f"{label} networks") for label in labels]
    return _picture("curve", "Distortion against rate", caption, key)


def _water(content: Content) -> str:
    k = content.curve.latent_dim
    positive = int(np.count_nonzero(content.curve.spectrum.eigenvalues))
    shown = min(positive, most_bars(k))
    caption = ("Variance above the water level τ = βσ² is transmitted, what is under water is "
               "squared error.")  # fmt: skip
    if positive > shown:
        caption += f" The last {positive - shown} are not drawn."
    key = [("box", "blue", "above water"), ("box", "sky", "under water")]
    key += [("hatch", "grey", "no latent left")] * (shown > k)
    key += [("dash", "orange", "water level τ")]
    return _picture("water", "Water over the spectrum", caption, key)


def _symbol(shape: str, colour: str) -> str:
    ink = COLOURS.get(colour, _FIRST_GATE)
    drawn = {
        "line": f'<path d="M0 7H24" stroke="{ink}" stroke-width="3"/>',
        "dash": f'<path d="M0 7H24" stroke="{ink}" stroke-width="3" stroke-dasharray="6 3"/>',
        "ring": f'<circle cx="12" cy="7" r="4" fill="#fff" stroke="{ink}" stroke-width="1.6"/>',
        "diamond": f'<path d="M12 0L19 7L12 14L5 7Z" fill="{ink}"/>',
        "box": f'<path d="M2 1H22V13H2Z" fill="{ink}"/>',
        "hatch": f'<path d="M2 1H22V13H2ZM6 13L18 1M2 9L10 1M14 13L22 5" fill="#fff" '
                 f'stroke="{ink}" stroke-width="1.2"/>',
        "square": f'<path d="M7 2H17V12H7Z" fill="#fff" stroke="{ink}" stroke-width="2"/>',
        "triangle": f'<path d="M12 1L18 12H6Z" fill="#fff" stroke="{ink}" stroke-width="2"/>',
    }[shape]  # fmt: skip
    return f'<svg width="24" height="14" aria-hidden="true">{drawn}</svg>'


def reconstructions(images: Images | None) -> str:
    """Samples with their reconstructions, as wide as two pictures; the script paints them."""
    if images is None:
        return ""
    height, width = images.shape[:2]
    size = f'width="{width}" height="{height}" role="img"'
    cells = "\n".join(
        f'<figure><canvas id="sample-{place}" {size} aria-label="sample {row}"></canvas>'
        f'<canvas id="reconstruction-{place}" {size} aria-label="reconstruction of sample {row}">'
        f"</canvas><figcaption>sample {row}</figcaption></figure>"
        for place, row in enumerate(images.rows)
    )
    span = images.white - images.black
    return f"""<section class="across">
<h3>Reconstructions at this β</h3>
<p class="soft">Above the data, below what the optimal decoder makes of the posterior mean,
<span class="formula">x̂ = μ + Σᵢ (1 − τ/λᵢ)₊ uᵢuᵢᵀ(x − μ)</span>.</p>
<div class="images">
{cells}
</div>
<p class="note">Black is {number(images.black)}, white is {number(images.white)} data units. A pixel
is exact to {number(images.error + span / 510, 2)} data units: {number(images.error, 2)} for the
stored eigenvectors and {number(span / 510, 2)} for the 256 levels of grey.</p>
</section>"""


_GAINS = _picture(
    "gains", "Gain of every mode",
    "Encoder times decoder passes the share dᵢeᵢ = 1 − τ/λᵢ of mode i; the posterior variance "
    "cᵢ = τ/λᵢ takes the rest of the unit prior.",
    [("box", "blue", "gain dᵢeᵢ"), ("box", "sky", "posterior variance cᵢ")],
)  # fmt: skip
_GATES = _picture(
    "gates", "Gates against β",
    "Decoder gain over √λᵢ, the gate of Theorem 1: mode i closes at its critical βᵢ = λᵢ/σ².",
    [("line", "gate", "one line per mode, the first one darkest"), ("dash", "orange", "this β")],
)  # fmt: skip
