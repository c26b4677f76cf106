r"""The rank-k frontier and the rate-distortion function of the Gaussian source with covariance S.

Let L_k(β) be the least objective with k latents and L_n(β) that with one per feature.

*Order.* A latent with e = 0, d = 0, c = 1 adds nothing to rate and squared error. So what k latents
can do, more latents can: at every rate the frontier with n latents is not above that with k.

*Contact.* By the claim ``optimum`` the modes beyond k cost λ/2σ² with k latents, and the least
value of a mode with n. The difference of the objectives is the loss of the claim ``gap``,

    L_k(β) − L_n(β) = Σ_{i>k, λᵢ>τ} (β/2) φ(λᵢ/τ) >= 0,    φ(t) = t − 1 − log t,

which vanishes exactly while no mode beyond k is above τ, that is for τ >= λ_{k+1}. There both
curves have the same active modes, hence the same rate and error. For τ < λ_{k+1} the rank-k point
is strictly above: were it on the other curve, both curves, differentiable with D_k >= D_n (claim
``slope``), would have the same slope −β there, and 𝒟 + βℛ = L_n(β) < L_k(β).

*The curve with n latents is Shannon's.* For a Gaussian source with variances λᵢ and any channel
with errors εᵢ per mode:

1. Among densities with second moment v the Gaussian has the largest entropy, ½ log 2πe v: for any
   density p, 0 <= KL(p ‖ N(0, v)) = −h(p) + ½ log 2πv + ½.
2. So I(x; x̂) >= Σ [h(xᵢ) − h(xᵢ − x̂ᵢ)] >= Σ ½ log⁺(λᵢ/εᵢ) (independent modes, conditioning lowers
   entropy).
3. Minimise tᵢ/2σ² + (β/2) log(λᵢ/tᵢ) over 0 < tᵢ <= λᵢ. For λ > τ it exceeds its value at t = τ by
   (β/2) φ(t/τ) >= 0. For λ <= τ it falls on all of (0, λ], so that t = λ is best. These are the
   errors and rates of the optimum, so that no channel has an objective below L_n(β), for any β.
4. The linear VAE attains it: x̂ = Dz is a channel with these errors (claim ``optimum``), and its
   information is at most I(x; z). For z = ex + noise of variance c and Gaussian x that is
   h(z) − h(noise) = ½ log(λe² + c) − ½ log c, at the optimum the rate of the mode.

Both curves are convex, so equality of the least objectives for every β is equality of the curves.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic import curve, modes
from linvae.symbolic.symbols import beta, c, d, e, lam, s2
from proofs import gap
from proofs._branches import at_active, at_collapsed, below, excess, show_logarithm
from proofs.argument import Argument, Proof, run

__all__ = ["channel", "gaussian_entropy", "prove"]

STATEMENT = "The rank-k frontier lies above Shannon's, and on it while τ ≥ λ_{k+1}."
_t = sp.Symbol("t", positive=True)  # squared error of one mode


def gaussian_entropy(variance: sp.Expr) -> sp.Expr:
    """Differential entropy of a Gaussian, integrated."""
    y, v = sp.Symbol("y", real=True), sp.Symbol("v", positive=True)
    density = sp.exp(-(y**2) / (2 * v)) / sp.sqrt(2 * sp.pi * v)
    nats = sp.expand(sp.expand_log(-sp.log(density), force=True))
    mean = [sp.integrate(density * y**p, (y, -sp.oo, sp.oo)) for p in (0, 2)]
    return sp.simplify(nats.coeff(y, 0) * mean[0] + nats.coeff(y, 2) * mean[1]).subs(v, variance)


def channel() -> sp.Expr:
    """Lagrangian of one mode in its squared error t: t/2σ² + (β/2) log(λ/t)."""
    return _t / (2 * s2) + beta * (gaussian_entropy(lam) - gaussian_entropy(_t))


def _order(argument: Argument) -> None:
    idle = {e: 0, c: 1, d: 0}
    argument.zero("a latent with e = d = 0, c = 1 has rate 0", modes.RATE.subs(idle))
    argument.zero(
        "... and leaves the squared error of its mode", modes.SQUARED_ERROR.subs(idle) - lam
    )


def _contact(argument: Argument) -> None:
    for name, at in (("active", at_active), ("collapsed", at_collapsed)):
        argument.zero(
            f"{name}: a mode without a latent costs the library's loss more",
            sp.expand_log(
                at(lam / (2 * s2)) - at(gap.least()) - at(curve.COLLAPSED_LOSS), force=True
            ),
        )
    argument.zero(
        "λ > τ: that loss is (β/2) φ(λ/τ)",
        sp.expand_log(
            at_active(curve.COLLAPSED_LOSS) - at_active(beta / 2 * excess(lam / (beta * s2))),
            force=True,
        ),
    )
    argument.positive(
        "λ > τ: λ/τ > 1, where φ > 0: strictly above", at_active(lam / (beta * s2) - 1)
    )
    argument.zero("λ <= τ: the loss is 0, the curves touch", at_collapsed(curve.COLLAPSED_LOSS))
    for name, with_latent, without in (
        ("squared error", modes.OPTIMAL_SQUARED_ERROR, lam),
        ("rate", modes.OPTIMAL_RATE, 0),
    ):
        argument.equal(f"λ <= τ: the same {name} with and without a latent",
                       at_collapsed(with_latent), without)  # fmt: skip


def _converse(argument: Argument) -> None:
    v, second = sp.symbols("v second", positive=True)
    entropy = gaussian_entropy(v)
    argument.equal(
        "h(N(0, v)) = ½ log 2πe v, by integration",
        sp.expand_log(entropy),
        sp.expand_log((1 + sp.log(2 * sp.pi * v)) / 2),
    )
    cross = sp.log(2 * sp.pi * v) / 2 + second / (2 * v)  # −∫ p log N(0, v), second moment of p
    argument.zero(
        "the cross entropy to N(0, v) of any density with second moment v is that value",
        sp.expand_log(cross.subs(second, v) - entropy),
    )
    argument.cites(
        "information theory: KL >= 0, independence and conditioning give "
        "I(x; x̂) >= Σ [h(xᵢ) − h(xᵢ − x̂ᵢ)] (Cover & Thomas, Theorem 10.3.3)"
    )
    lagrangian = channel()
    level = beta * s2
    argument.zero(
        "t/2σ² + (β/2) log(λ/t) exceeds its value at t = τ by (β/2) φ(t/τ)",
        sp.expand_log(
            lagrangian - lagrangian.subs(_t, level) - beta / 2 * excess(_t / level), force=True
        ),
    )
    argument.zero(
        "λ > τ: that value is the least objective of the library's mode",
        sp.expand_log(at_active(lagrangian.subs(_t, level)) - at_active(gap.least()), force=True),
    )
    rise = sp.Symbol("r", nonnegative=True)
    falling = sp.diff(lagrangian, _t).subs(beta, (lam + below) / s2).subs(lam, _t + rise)
    argument.nonnegative("t <= λ <= τ: it falls in t, so t = λ is best", -sp.factor(falling))
    reading = gaussian_entropy(lam * modes.e**2 + modes.c) - gaussian_entropy(modes.c)
    gains = {modes.e: modes.ENCODER_GAIN, modes.c: modes.POSTERIOR_VARIANCE}
    for name, at in (("active", at_active), ("collapsed", at_collapsed)):
        argument.zero(
            f"{name}: I(x; z) = h(ex + noise) − h(noise) is the optimal rate, so it is attained",
            sp.expand_log(
                at(reading.subs(gains, simultaneous=True)) - at(modes.OPTIMAL_RATE), force=True
            ),
        )
    argument.zero(
        "λ <= τ: its value there is the least objective of the library's mode",
        sp.expand_log(
            at_collapsed(lagrangian.subs(_t, lam)) - at_collapsed(gap.least()), force=True
        ),
    )


def prove() -> Proof:
    """Compare the objectives with and without latents, then with every channel."""
    argument = Argument("shannon", STATEMENT)
    show_logarithm(argument)
    _order(argument)
    _contact(argument)
    _converse(argument)
    return argument.done(
        functions=("linvae.Frontier.shannon", "linvae.Frontier.kind"),
        properties=(
            "tests/linvae/test_frontier.py::test_shannon_lies_below_and_touches_exactly_where_it_should",
        ),
        optimisations=(
            "tests/linvae/test_adversarial_curve.py::test_no_gaussian_channel_beats_the_shannon_curve",
        ),
        uses=("optimum", "slope", "gap"),
    )


if __name__ == "__main__":
    run(prove)
