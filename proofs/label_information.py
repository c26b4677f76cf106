r"""How accurately a label can be read from a representation that holds so many nats.

Let y be a label of M ≥ 2 classes with entropy H, x data, z ~ q(z|x), ŷ(z) any guess, and
α = P(ŷ = y) its accuracy.

1. *The chain* y – x – z is Markov, so I(y; z) ≤ I(x; z) (data processing), and
   I(x; z) = ℛ − KL(q(z) ‖ p(z)) ≤ ℛ (claim "split"). A rate therefore bounds I(y; z).
2. *One z.* Let p be the distribution of y given z and a = p(ŷ(z)). Split the entropy of p into "was
   the guess right?" and "if not, which class?":
   H(p) = h(a) + (1 − a) H(p₋), with h the binary entropy and p₋ the other M − 1 classes,
   renormalised. H(p₋) ≤ log(M − 1), by Gibbs' inequality (log r ≤ r − 1), so
   H(p) ≤ φ(a) := h(a) + (1 − a) log(M − 1).
3. *All z.* φ is concave, so by Jensen H(y|z) ≤ E φ(a) ≤ φ(E a) = φ(α), and
   I(y; z) = H − H(y|z) ≥ H − φ(α) = H + α log α + (1 − α) log((1 − α)/(M − 1)) = f(α).
4. *Inversion.* f'(α) = log(α(M − 1)/(1 − α)) vanishes at α = 1/M and is positive beyond it, where
   f(1/M) = H − log M ≤ 0; f(1) = H. So f rises on [1/M, 1] from something ≤ 0 to H, and α ≤ f⁻¹(I)
   for every 0 ≤ I < H; for I ≥ H there is no bound below 1.
5. The bound is reached: equal classes, and a z that is the label with probability α and any other
   class, all alike, otherwise, has I(y; z) = f(α) with H = log M.
"""

from __future__ import annotations

import sympy as sp

from linvae.symbolic.twins import ACCURACY, CLASSES, FANO, LABEL_ENTROPY

from .argument import Argument, Proof, run

# Shares are written as weights over their sum, so that every logarithm is of positive symbols.
guess, missed, total = sp.symbols("g R T", positive=True)  # T = g + R
ratio = sp.Symbol("r", positive=True)
others = sp.Symbol("N", integer=True, positive=True)  # M − 1
_i = sp.Symbol("i", integer=True, positive=True)
_weights = sp.IndexedBase("w", positive=True)  # of the classes not guessed; their sum is R
beyond = sp.Symbol("y", positive=True)
right, wrong = sp.symbols("g h", positive=True)
SHARES = {ACCURACY: right / (right + wrong), CLASSES: others + 1}


def entropy(*shares: sp.Expr) -> sp.Expr:
    """Entropy of a distribution, nats."""
    return -sum(p * sp.log(p) for p in shares)


def channel_information() -> sp.Expr:
    """I(y; z) for equal classes and z = y with probability α, any other class alike otherwise."""
    mistake = (1 - ACCURACY) / (CLASSES - 1)
    noise = entropy(ACCURACY) + (CLASSES - 1) * entropy(mistake)
    return sp.log(CLASSES) - noise


def over_others(summand: sp.Expr) -> sp.Expr:
    """Sum over the N other classes of something proportional to their weights wᵢ."""
    factor = sp.cancel(summand / _weights[_i])
    if factor.has(_weights):
        raise ValueError("the summand is not a constant times the weight")
    return factor * missed


def grouping() -> sp.Expr:
    """H(p) − h(a) − (1 − a) H(p₋), for any number of classes; p has weights g, w₁, …, w_N."""
    weight = _weights[_i]
    share = missed / total
    # Class by class: what H(p) has and (1 − a) H(p₋) has not.
    left = entropy(weight / total) - share * entropy(weight / missed)
    whole = entropy(guess / total) + over_others(sp.expand(sp.expand_log(left)))
    return sp.expand(sp.expand_log(whole - entropy(guess / total, share)))


def gibbs() -> sp.Expr:
    """Bound Σᵢ rᵢ(1/(N rᵢ) − 1) on log N − H(r) from above, with log s ≤ s − 1."""
    share = _weights[_i] / missed
    summand = sp.expand(share * (1 / (others * share) - 1))
    constant = summand.subs(_weights[_i], 0)
    return sp.Sum(constant, (_i, 1, others)).doit() + over_others(summand - constant)


def plain(expression: sp.Expr) -> sp.Expr:
    """The expression in terms of the weights, its logarithms taken apart."""
    return sp.simplify(sp.expand_log(sp.simplify(expression.subs(SHARES))))


def prove() -> Proof:
    """Derive the bound on accuracy."""
    proof = Argument(
        "label-information",
        "A label of entropy H and M classes is read from z with accuracy at most f⁻¹(I), "
        "f(α) = H + α log α + (1 − α) log((1 − α)/(M − 1)), for any I ≥ I(y; z), such as the rate.",
    )
    proof.cites("data processing: y – x – z is Markov, so I(y; z) ≤ I(x; z)")
    proof.zero("any M: H(p) = h(a) + (1 − a) H(p₋)", grouping())
    proof.zero("log r ≤ r − 1: equality at r = 1", (ratio - 1 - sp.log(ratio)).subs(ratio, 1))
    proof.zero(
        "... where the slopes agree", sp.diff(ratio - 1 - sp.log(ratio), ratio).subs(ratio, 1)
    )
    proof.positive("... and the difference is convex", sp.diff(ratio - 1 - sp.log(ratio), ratio, 2))
    proof.zero("any M: Σ rᵢ log(1/(N rᵢ)) ≤ Σ rᵢ(1/(N rᵢ) − 1) = 0, so H(p₋) ≤ log N", gibbs())
    curved = sp.simplify(sp.diff(LABEL_ENTROPY - FANO, ACCURACY, 2) * ACCURACY * (1 - ACCURACY))
    proof.equal("φ'' = −1/(α(1 − α)): concave, so Jensen applies", curved, -1)
    want = sp.log(right * others / wrong)
    proof.zero("f'(α) = log(α(M − 1)/(1 − α))",
               plain(sp.diff(FANO, ACCURACY)) - sp.expand_log(want))  # fmt: skip
    odds = (ACCURACY * others / (1 - ACCURACY)).subs(ACCURACY, (1 + beyond) / (others + 1))
    proof.equal("at α = (1 + y)/M the odds α(M − 1)/(1 − α) are (1 + y)N/(N − y)", odds,
                (1 + beyond) * others / (others - beyond))  # fmt: skip
    proof.positive("... which exceed 1 for 0 < y < N",
                   sp.factor((1 + beyond) * others - (others - beyond)))  # fmt: skip
    start = sp.simplify(FANO.subs({CLASSES: others + 1, ACCURACY: 1 / (others + 1)}))
    proof.equal("f(1/M) = H − log M", sp.expand_log(start), LABEL_ENTROPY - sp.log(others + 1))
    ends = sp.limit(FANO.subs(CLASSES, others + 1), ACCURACY, 1, "-")
    proof.equal("f(1) = H", ends, LABEL_ENTROPY)
    reached = channel_information() - FANO.subs(LABEL_ENTROPY, sp.log(CLASSES))
    proof.zero("a symmetric channel reaches the bound", plain(reached))
    return proof.done(
        functions=("linvae.twins.accuracy_bound",),
        properties=(
            "tests/linvae/test_twins.py::test_accuracy_bound_holds_for_drawn_channels",
            "tests/linvae/test_symbolic_twins.py::test_accuracy_bound_is_the_expression",
        ),
        optimisations=("tests/linvae/test_twins.py::test_no_channel_beats_the_accuracy_bound",),
        uses=("split",),
    )


if __name__ == "__main__":
    run(prove)
