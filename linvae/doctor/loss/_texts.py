"""What each finding about a loss says, gravest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from linvae.doctor.examination import Finding

__all__ = ["TEXTS", "Text", "finding", "gravest_first", "plain"]


class Text(NamedTuple):
    """Question, answer, likely cause and remedy, with the evidence in braces."""

    asked: str
    found: str
    cause: str
    remedy: str


_REPEAT = "Do the same inputs give the same loss?"
_SUM = "Is the loss a reconstruction term plus a KL term?"
_SIGN = "Are both terms minimised?"
_READ = "Is log_var read as the logarithm of a variance?"
_KL = "Is the KL term that of N(mean, exp(log_var)) to N(0, 1)?"
_PRESSURE = "Does every nat of KL cost the same?"
_REC = "Which reconstruction term is it?"
_ENTRIES = "Does every entry count alike?"
_REDUCE = "Are both terms reduced in the same way?"
_BETA = "Is the KL weight the declared one?"
_PARTS = "Are the reported parts what the total is made of?"
_GRADIENT = "Are its gradients those of its values?"
_EVAL = "Is the evaluation loss the training loss?"
_FORM = "0.5 * (mean**2 + exp(log_var) - 1 - log_var)"

TEXTS: dict[str, Text] = {
    "loss-is-random": Text(
        _REPEAT, "No: the same inputs gave numbers between {smallest:.6g} and {largest:.6g}, "
        "and no loss known here could be read off their average.",
        "the loss draws random numbers itself (a sampled KL, dropout, added noise)",
        "compute the KL in closed form and draw noise in the model; then examine again"),
    "loss-changes-with-each-call": Text(
        _REPEAT, "No: it went from {first:.6g} to {last:.6g} for the same inputs.",
        "a KL weight or running mean is stored in the loss and advanced at each call",
        "pass the step or the weight as an argument; examine it at the final weight"),
    "reconstruction-missing": Text(
        _SUM, "The loss does not depend on x_hat.",
        "the total leaves the reconstruction term out, or compares x with itself",
        "add the reconstruction term of x and x_hat to the total"),
    "kl-missing": Text(
        _SUM, "The loss does not depend on mean and log_var.",
        "the total leaves the KL term out, or its weight is 0: this is an autoencoder",
        "add beta * KL to the total"),
    "loss-is-the-elbo": Text(
        _SIGN, "Both terms are negative: the loss falls when the reconstruction gets worse.",
        "the ELBO is returned, which is to be maximised",
        "return its negative"),
    "kl-sign": Text(
        _SIGN, "The KL term has the wrong sign: scale {kl_scale:.6g}.",
        "the KL is subtracted, or -0.5 * sum(1 + log_var - mean**2 - exp(log_var)) lost its minus",
        "add the KL to the loss: loss = reconstruction + beta * " + _FORM),
    "reconstruction-sign": Text(
        _SIGN, "The reconstruction term has the wrong sign: scale {reconstruction_scale:.6g}.",
        "a log-likelihood is added where its negative belongs",
        "subtract the log-likelihood"),
    "terms-interact": Text(
        _SUM, "No: what the KL costs depends on the reconstruction (by {interaction:.3g} of it).",
        "the terms are multiplied, or the KL weight is computed from the reconstruction",
        "add the terms, with a weight that depends on neither"),
    "log-variance-read-as-log-std": Text(
        _READ, "No: the KL is that of a standard deviation exp(log_var).",
        "the network's output is taken for log(std) here: exp(2 * log_var) and 2 * log_var",
        "use " + _FORM + ", and std = exp(log_var / 2) when sampling"),
    "log-variance-read-as-variance": Text(
        _READ, "No: the KL is that of a variance log_var, and is not finite where it is negative.",
        "the loss expects the variance and takes its logarithm",
        "pass exp(log_var) to this loss, or use " + _FORM),
    "log-variance-read-as-std": Text(
        _READ, "No: the KL is that of a standard deviation log_var.",
        "the loss expects the standard deviation",
        "pass exp(log_var / 2) to this loss, or use " + _FORM),
    "log-variance-read-as-log-precision": Text(
        _READ, "No: the KL is that of a variance exp(-log_var).",
        "the sign of log_var is reversed",
        "use " + _FORM),
    "kl-reversed": Text(
        _KL, "It is the KL from the prior to the posterior, the other way round.",
        "the arguments of the KL are swapped",
        "swap them: KL(q(z|x) || p(z)) = " + _FORM),
    "kl-prior-not-standard": Text(
        _KL, "It is the KL to N(0, {prior_variance:.6g}), with scale {kl_scale:.6g}.",
        "a factor on one part of the formula only, such as a ½ that does not cover log_var",
        "put the ½ around all of " + _FORM + ", or sample from that prior"),
    "kl-term-missing": Text(
        _KL, "No: {missing} is missing from it.",
        "a part of the formula was left out or is not connected",
        "use " + _FORM),
    "kl-formula": Text(
        _KL, "No: it is {formula}.",
        "a sign, a factor or an exponent in the formula is wrong",
        "use " + _FORM),
    "kl-uneven": Text(
        _ENTRIES, "Not in the KL term: {detail}.",
        "an index, a slice or a size written into the code leaves entries out",
        "sum over all latents and all samples"),
    "kl-couples-samples": Text(
        _ENTRIES, "No: the latents of one sample change what those of another cost.",
        "mean or log_var is averaged over the batch before the KL is computed, or the batch's "
        "aggregate is penalised",
        "compute the KL for each sample, then average"),
    "kl-couples-latents": Text(
        _ENTRIES, "No: one latent changes what another one costs.",
        "latents are summed before they are squared, or a root is taken",
        "compute the KL for each latent, then sum"),
    "kl-aggregate-term": Text(
        _ENTRIES, "No: a latent of one sample changes what another latent of another sample costs.",
        "a term of the batch's aggregated posterior beside or in place of the KL, such as a total "
        "correlation or an MMD; or an axis that mixes samples and latents",
        "if such a term is meant, examine the loss without it; else compute the KL for each entry"),
    "kl-not-recognised": Text(
        _KL, "No formula known here explains it, nor a sum over latents.",
        "an extra term or another divergence",
        "examine the KL term by itself: it should be " + _FORM),
    "kl-clipped": Text(
        _PRESSURE, "No: it stops to grow when the means get large.",
        "the KL, or the mean inside it, is clipped from above",
        "remove the clipping: beyond it the latents feel no pressure at all"),
    "log-variance-clamped": Text(
        _PRESSURE, "No: log_var is {how} [{lower:.4g}, {upper:.4g}] inside the KL.",
        "a clamp for numerical safety that is so tight that training meets it",
        "widen it, to [-20, 10] say: beyond it log_var gets little or no gradient from it"),
    "free-bits": Text(
        _PRESSURE, "No: the first {threshold_nats:.4g} nats are free, on {threshold_on}.",
        "free bits: the KL is replaced by max(KL, threshold)",
        "if it is meant, β acts above the threshold only; else remove the maximum"),
    "kl-target": Text(
        _PRESSURE, "No: the KL is pulled to {target_nats_per_sample:.4g} nats per sample.",
        "a capacity term |KL - C| in place of the KL",
        "if it is meant, β is no price but a spring; else use beta * KL"),
    "reconstruction-couples-samples": Text(
        _ENTRIES, "No: what the x_hat of one sample costs depends on another sample.",
        "samples are averaged before they are compared, each x is compared with each x_hat by "
        "broadcasting, or a function is taken of the batch's sum",
        "compute the error for each sample, then average"),
    "reconstruction-couples-features": Text(
        _ENTRIES, "No: one feature's error changes what another's costs.",
        "features are summed before they are squared, or a function is taken of their sum",
        "square the error of each feature, then sum"),
    "reconstruction-under-a-root": Text(
        _REC, "The squared error stands under a root ({where}).",
        "a norm or an RMSE in place of the squared error",
        "square it: sum((x - x_hat)**2)"),
    "cross-entropy-arguments-swapped": Text(
        _REC, "It is the cross-entropy of x under x_hat with the two exchanged.",
        "the target was passed where the prediction belongs",
        "call it as binary_cross_entropy(x_hat, x): prediction first"),
    "cross-entropy-one-sided": Text(
        _REC, "It is -x log(x_hat) only: pixels that should be dark cost nothing.",
        "the part (1 - x) log(1 - x_hat) is missing",
        "add it"),
    "sigmoid-twice": Text(
        _REC, "It is the cross-entropy with logits of sigmoid(x_hat).",
        "a sigmoid is applied before a loss that applies one itself",
        "drop one of the two"),
    "output-squashed": Text(
        _REC, "It is the squared error of sigmoid(x_hat).",
        "a sigmoid inside the loss: x_hat is not compared with x itself",
        "apply it in the decoder or not at all"),
    "reconstruction-uneven": Text(
        _ENTRIES, "Not in the reconstruction term: {detail}.",
        "an index, a slice or a size written into the code leaves entries out",
        "sum over all features and all samples"),
    "reconstruction-clipped": Text(
        _REC, "It is a squared error for small errors only: at an error of {error:.3g} the loss "
        "rises by {loss_rises_by:.4g}, a squared error by {squared_error_gives:.4g}.",
        "a Huber loss, or x_hat is clipped inside the loss",
        "use the plain squared error, and clip for display only"),
    "reconstruction-mixed": Text(
        _REC, "It is a mixture: {mixture}.",
        "two reconstruction terms are added",
        "keep the one that is the negative log-likelihood you mean"),
    "reconstruction-not-recognised": Text(
        _REC, "No likelihood known here explains it.",
        "another error measure, or a function of the whole batch",
        "use -log p(x|z) summed over features: squared error / (2 σ²), or cross-entropy"),
    "likelihood-not-as-declared": Text(
        _REC, "It is {is_in_words}, not {declared_in_words}.",
        "another likelihood was declared, or probabilities and logits are confused",
        "use the loss of the declared likelihood, or declare this one"),
    "batch-size-changes-beta": Text(
        _REDUCE, "No: twice the batch size multiplies the effective β by {change:.4g}.",
        "one term is summed over the batch and the other averaged, or divided by N once more",
        "reduce both over the batch in the same way"),
    "reconstruction-averaged-over-features": Text(
        _REDUCE, "No: the reconstruction is averaged over features, the KL is not: β is n times "
        "too large.",
        "the default reduction 'mean' averages over features, too",
        "sum over features: reduction='sum', divided by the batch size"),
    "kl-divided-by-features": Text(
        _REDUCE, "No: the KL is divided by the number n of features, the reconstruction is not.",
        "a normalisation written for an averaged reconstruction is used with a summed one",
        "drop the division of the KL by the number of features"),
    "kl-averaged-over-latents": Text(
        _REDUCE, "No: the KL is averaged over the latents, which divides β by their number.",
        "mean() over all entries of the KL",
        "sum over latents, then average over the batch: kl.sum(1).mean()"),
    "kl-multiplied-by-latents": Text(
        _REDUCE, "No: twice the latents double the KL weight.",
        "a factor that depends on k",
        "sum the KL over latents once"),
    "features-change-beta": Text(
        _REDUCE, "No: twice the features multiply the effective β by {change:.4g}.",
        "one term is divided or multiplied by a function of the number of features",
        "sum both terms over features and latents"),
    "latents-change-beta": Text(
        _REDUCE, "No: twice the latents multiply the effective β by {change:.4g}.",
        "one term is divided or multiplied by a function of the number of latents",
        "sum both terms over features and latents"),
    "beta-ignored": Text(
        _BETA, "No: β is {effective_beta:.6g}, as if the weight were 1.",
        "the KL is added without the weight", "multiply the KL by beta"),
    "beta-applied-twice": Text(
        _BETA, "No: β is {effective_beta:.6g}, the square of the declared one.",
        "the weight is applied in the KL and again in the total", "apply it once"),
    "beta-inverted": Text(
        _BETA, "No: β is {effective_beta:.6g}, the inverse of the declared one.",
        "the KL is divided by the weight, or the reconstruction multiplied by it",
        "multiply the KL by beta"),
    "half-missing": Text(
        _BETA, "No: β is {effective_beta:.6g}: the squared error lacks its ½.",
        "squared error / σ² in place of squared error / (2 σ²)",
        "multiply the squared error by 0.5, or declare half the noise variance"),
    "kl-half-missing": Text(
        _BETA, "No: β is {effective_beta:.6g}: the KL lacks its ½.",
        "mean**2 + exp(log_var) - 1 - log_var without the factor ½", "multiply the KL by 0.5"),
    "noise-variance-forgotten": Text(
        _BETA, "No: β is {effective_beta:.6g} at the declared σ²: the squared error is not "
        "divided by it.",
        "the decoder's noise variance is not in the loss",
        "divide the squared error by 2 * noise_variance"),
    "standard-deviation-for-variance": Text(
        _BETA, "No: β is {effective_beta:.6g}: the squared error is divided by 2σ, not 2σ².",
        "the standard deviation is used where the variance belongs",
        "divide the squared error by 2 * noise_variance"),
    "noise-variance-inverted": Text(
        _BETA, "No: β is {effective_beta:.6g}: the squared error is multiplied by σ².",
        "the variance is taken for a precision",
        "divide the squared error by 2 * noise_variance"),
    "bits-for-nats": Text(
        _BETA, "No: β is {effective_beta:.6g}: one term is in bits, the other in nats.",
        "a logarithm to base 2 in one of the terms", "use natural logarithms in both"),
    "beta-not-as-declared": Text(
        _BETA, "No: β is {effective_beta:.6g}, and {declared_beta:.6g} was declared{note}.",
        "a constant in front of one of the terms", "{correction}"),
    "kl-gradient-missing": Text(
        _GRADIENT, "No: the KL term changes the loss and has no gradient: mean and log_var get 0.",
        "the KL is computed under no_grad, detached, or turned into a number and back",
        "compute the KL with the graph: no detach(), item() or no_grad() on the way"),
    "reconstruction-gradient-missing": Text(
        _GRADIENT, "No: x_hat changes the loss and gets a gradient of 0: no decoder is trained.",
        "x_hat is detached, or its error is computed under no_grad",
        "use x_hat as the decoder gave it"),
    "mean-gradient-missing": Text(
        _GRADIENT, "No: mean changes the loss and gets a gradient of 0 from the KL.",
        "the mean is detached in the KL: nothing pulls it to the prior",
        "use the mean in the KL as the encoder gave it"),
    "log-variance-gradient-missing": Text(
        _GRADIENT, "No: log_var changes the loss and gets a gradient of 0 from the KL.",
        "the log-variance is detached in the KL: nothing keeps it from falling",
        "use log_var in the KL as the encoder gave it"),
    "gradient-differs": Text(
        _GRADIENT,
        "No: the gradient with respect to {inputs} is {ratios} times that of the values.",
        "a part of the loss is detached, or a function has a gradient of its own",
        "differentiate the loss as it is, or return the value that is meant to be minimised"),
    "total-is-not-its-parts": Text(
        _PARTS, "No: no weights of '{reconstruction_name}' and '{kl_name}' give the total "
        "(misfit {misfit:.3g}).",
        "the total is computed from other quantities than those reported",
        "report the very terms that are added"),
    "reported-kl-sign": Text(
        _PARTS, "'{kl_name}' is {reported:.6g} where the KL is {expected:.6g} nats.",
        "the negative KL is logged", "log the KL itself: it is never negative"),
    "evaluation-changes": Text(
        _EVAL, "The evaluation loss gives different numbers for the same inputs.",
        "it draws random numbers or keeps a state", "evaluate without noise or state"),
    "evaluation-beta-differs": Text(
        _EVAL, "No: β is {evaluation_beta:.6g} in evaluation and {training_beta:.6g} in training.",
        "the KL weight or a reduction differs between the two",
        "use one function for both, and report distortion and rate apart"),
    "evaluation-differs": Text(
        _EVAL, "No: in evaluation {evaluation_form}, in training {training_form}.",
        "the two are written separately", "use one function for both"),
}  # fmt: skip


def finding(code: str, **evidence: Any) -> Finding:
    """The finding of that code, its sentences filled with the evidence."""
    text = TEXTS[code]
    found, remedy = text.found.format(**evidence), text.remedy.format(**evidence)
    return Finding(code, text.asked, found, plain(evidence), text.cause, remedy)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Python numbers and text; None for what is not finite, which JSON cannot hold."""
    result = {}
    for name, value in values.items():
        number = value.item() if isinstance(value, np.generic) else value
        lost = isinstance(number, float) and not np.isfinite(number)
        result[name] = None if lost else number
    return result


def gravest_first(findings: list[Finding]) -> tuple[Finding, ...]:
    """In the order of the table, each code once."""
    order = list(TEXTS)
    unique = {item.code: item for item in reversed(findings)}
    return tuple(sorted(unique.values(), key=lambda item: order.index(item.code)))
