"""The parts of a page, one function each."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from linvae.claims.types import Check
from linvae.frontier import Frontier

from . import numbers
from .learned import Learned

if TYPE_CHECKING:
    from .page import Content

__all__ = [
    "claims",
    "controls",
    "conventions",
    "curve_table",
    "element",
    "learned",
    "modes",
    "number",
    "table",
    "text",
]

_MOST_MODES = 64  # rows of the table of modes
_VERDICTS = {"holds": "✓ holds", "fails": "✗ FAILS", "impossible": "⊘ impossible (shown)",
             "not applicable": "– not applicable"}  # fmt: skip
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_CLAIM = 'class="claim"'
_MEASURED = 'class="measured"'
_CARDS = (
    ("β", "beta", "dimensionless"),
    ("rate R", "rate", "nats per sample"),
    ("distortion D", "distortion", "nats per sample"),
    ("objective D + βR", "objective", "nats per sample"),
    ("squared error ε", "squared_error", "squared data units"),
    ("PSNR", "psnr", "dB"),
    ("active modes m", "active", "of {k}"),
    ("water level τ = βσ²", "water_level", "squared data units"),
)


def text(value: object) -> str:
    """Text of a user as text of a page: escaped, without control characters."""
    shown = "".join(c if c.isprintable() else " " for c in str(value))
    return html.escape(shown, quote=True)


def element(tag: str, content: object, attributes: str = "") -> str:
    """An element around escaped text."""
    return f"<{tag}{' ' * bool(attributes)}{attributes}>{text(content)}</{tag}>"


def number(value: Any, digits: int = 6) -> str:
    """A number of a table that needs no script."""
    if not np.isfinite(value):
        return "∞" if value > 0 else "−∞"
    mantissa, _, power = f"{float(value):.{digits}g}".partition("e")
    times = "·10" + str(int(power)).translate(_RAISED) if power else ""
    return mantissa.replace("-", "−") + times


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], attributes: str = "") -> str:
    """A table; a column's unit stands in brackets at the end of its name."""
    head = "".join(f'<th scope="col">{_with_unit(name)}</th>' for name in columns)
    lines = "\n".join(
        "<tr>" + "".join(element("td", cell) for cell in row) + "</tr>" for row in rows
    )
    return (f'<div class="wide"><table{" " * bool(attributes)}{attributes}>\n<thead><tr>{head}</tr>'
            f"</thead>\n<tbody>\n{lines}\n</tbody></table></div>")  # fmt: skip


def _with_unit(name: str) -> str:
    words, _, unit = name.partition(" [")
    return text(words) + (f' <span class="unit">{text(unit.rstrip("]"))}</span>' if unit else "")


# --- β and its numbers ---------------------------------------------------------------------------


def controls(content: Content) -> str:
    """The slider, the number beside it, and what belongs to them."""
    low, high = content.beta_range
    start = content.start
    step = round(1000 * np.log(start / low) / np.log(high / low))
    cards = "\n".join(
        _card(name, key, unit.format(k=content.curve.latent_dim))
        for name, key, unit in _CARDS
        if key != "psnr" or content.data_range is not None
    )
    return f"""<div class="bar needs-script"><div class="bar-inside">
<div class="dial">
<label for="beta">β<span class="long">, weight of the rate</span></label>
<input type="range" id="beta" min="0" max="1000" step="1" value="{step}"
 aria-describedby="beta-help">
<div class="fine"><button type="button" id="next-down" class="no-print"
 aria-label="next critical β below" title="next critical β below">◂ mode</button>
<input type="text" inputmode="decimal" id="beta-number" aria-label="β as a number"
 aria-describedby="beta-help beta-told" autocomplete="off" value="{start:.6g}">
<button type="button" id="next-up" class="no-print"
 aria-label="next critical β above" title="next critical β above">mode ▸</button></div>
<div class="ends" id="beta-help"><span>{number(low)}</span><span>logarithmic scale</span>
<span>{number(high)}</span></div>
<p id="beta-told" class="told" role="alert" hidden></p>
</div>
<dl class="numbers">
{cards}
</dl>
<p id="spoken" class="visually-hidden" aria-live="polite"></p>
</div></div>"""


def _card(name: str, key: str, unit: str) -> str:
    more = '<span class="unit"><span id="rate-bits"></span> bits</span>' if key == "rate" else ""
    return (f'<div><dt>{text(name)}</dt><dd><span class="value" data-number="{key}"></span>'
            f'<span class="unit">{text(unit)}</span>{more}</dd></div>')  # fmt: skip


# --- modes ----------------------------------------------------------------------------------------


def modes(curve: Frontier) -> str:
    """A row per mode, filled by the script."""
    shown = min(curve.latent_dim, _MOST_MODES)
    names = ("eigenvalue", "critical", "decoder", "encoder", "gain", "variance", "rate")
    columns = ("mode i", "eigenvalue λᵢ [squared data units]", "critical βᵢ [1]",
               "decoder gain dᵢ [data units]", "encoder gain eᵢ [1 / data units]",
               "gain dᵢeᵢ [1]", "posterior variance cᵢ [1]",
               "rate [nats per sample]")  # fmt: skip
    head = "".join(f'<th scope="col">{_with_unit(name)}</th>' for name in columns)
    rows = "\n".join(
        f'<tr data-mode="{mode}"><td>{mode}</td>'
        + "".join(f'<td data-name="{name}"></td>' for name in names)
        + "</tr>"
        for mode in range(1, shown + 1)
    )
    rest = f"<p class='note'>The first {shown} of {curve.latent_dim} modes.</p>"
    return (
        '<section class="needs-script">\n<h2>Mode by mode at this β</h2>\n'
        f"<details><summary>Show the numbers of {shown} modes</summary>\n"
        f'<div class="wide"><table id="modes">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>{rest * (shown < curve.latent_dim)}</details>\n"
        "</section>"
    )


def curve_table(curve: Frontier, beta_range: tuple[float, float], data_range: float | None) -> str:
    """A few points of the curve; it stands on the page itself, without any script."""
    points = curve.at_beta(numbers.table_betas(*beta_range))
    columns = numbers.curve_columns(points, data_range)
    names = [f"{_NAMES[name]} [{numbers.UNITS[name].partition(',')[0]}]" for name in columns]
    rows = [[number(value) for value in row] for row in zip(*columns.values(), strict=True)]
    return table(names, rows, 'id="curve-table"')


_NAMES = {
    "beta": "β",
    "rate": "rate R",
    "distortion": "distortion D",
    "squared_error": "squared error ε",
    "objective": "objective D + βR",
    "water_level": "water level τ",
    "active": "active",
    "psnr": "PSNR",
}


# --- measured points and claims ------------------------------------------------------------------


def learned(found: Learned | None, curve: Frontier) -> str:
    """Measured points with their gap over the curve."""
    if found is None:
        return ""
    names = ["networks", "β [dimensionless]", "rate R [nats per sample]",
             "distortion D [nats per sample]", "gap over the curve [nats per sample]"]  # fmt: skip
    rows = []
    for part in found.points:
        gaps = part.gap(curve)
        rows += [
            [part.label, number(part.beta[i]), _measured(part.rate[i], part.rate_se[i]),
             _measured(part.distortion[i], part.distortion_se[i]),
             _measured(gaps[i], part.objective_se[i])]
            for i in range(part.beta.size)
        ]  # fmt: skip
    notes = "".join(element("p", note, 'class="note"') for note in found.notes(curve))
    return (
        f'<section id="learned">\n<h2>Learned points</h2>\n{element("p", found.experiment)}\n'
        f"{notes}{table(names, rows)}\n"
        '<p class="note">± is one standard error; none is given for one seed judged exactly. The '
        "gap is D + βR less its least value for a linear VAE. Nonlinear networks, and data that "
        "are not Gaussian, may lie below the curve.</p>\n</section>"
    )


def _measured(value: Any, error: Any) -> str:
    return number(value) + (f" ± {number(error, 2)}" if error > 0 else "")


def claims(checks: Sequence[Check]) -> str:
    """The claim table, with verdicts in words."""
    if not checks:
        return ""
    rows = "\n".join(
        f"<tr>{element('td', check.claim, _CLAIM)}<td>{text(check.statement)}{_remark(check)}</td>"
        f"{element('td', _VERDICTS[check.status], _class(check))}"
        f"{element('td', _compared(check), _MEASURED)}</tr>"
        for check in checks
    )
    count = {status: sum(c.status == status for c in checks) for status in _VERDICTS}
    said = {"holds": "hold", "impossible": "shown to be impossible as printed",
            "not applicable": "not applicable to these data", "fails": "FAIL"}  # fmt: skip
    parts = [f"{count[status]} {words}" for status, words in said.items() if count[status]]
    return (
        f'<section id="claims">\n<h2>Claims, checked on these data</h2>\n'
        f"{element('p', f'Of {len(checks)} claims: ' + '; '.join(parts) + '.')}\n"
        '<table class="words">\n<thead><tr><th scope="col">claim</th><th scope="col">statement</th>'
        '<th scope="col">verdict</th><th scope="col">measured, limit</th></tr></thead>\n<tbody>\n'
        f"{rows}\n</tbody></table>\n</section>"
    )


def _class(check: Check) -> str:
    return f'class="verdict{" fails" * (check.status == "fails")}"'


def _remark(check: Check) -> str:
    if not check.note or check.status == "holds":
        return ""
    return f'<br><span class="note">{text(check.note)}</span>'


def _compared(check: Check) -> str:
    if check.status == "not applicable":
        return ""
    sign = "≤" if check.relation == "<=" else "≥"
    return f"{check.residual:.1e} {sign} {check.tolerance:.0e}".replace("-", "−")


def conventions(curve: Frontier) -> str:
    """What the words mean."""
    n = curve.spectrum.n_features
    return f"""<section>
<h2>What the words mean</h2>
<p>A linear VAE with k = {curve.latent_dim} latents and decoder variance σ² =
{number(curve.noise_variance)} squared data units, for data of n = {n} features. λᵢ and uᵢ are
eigenvalues and eigenvectors of the covariance (divided by N), μ is the mean.</p>
<p>The rate R is the average KL divergence of posterior and prior, Σ ½ log(λᵢ/τ) over active modes.
The squared error ε is summed over features, without ½: Σ min(λᵢ, τ) over the k modes and λᵢ over
the others. The distortion D = (n/2) log(2πσ²) + ε/(2σ²) is the average of −log p(x|z). The
objective is D + βR. A loss “summed squared error + β · KL” is the case σ² = ½.</p>
</section>"""
