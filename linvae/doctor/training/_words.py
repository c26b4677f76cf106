"""What the findings of a training examination say: question, likely cause and remedy by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from linvae.doctor.examination import Finding

__all__ = ["WORDS", "Words", "finding", "plain"]


class Words(NamedTuple):
    """The fixed part of a finding."""

    asked: str
    found: str
    cause: str
    remedy: str


_WEIGHT = "Do the trained parameters show the KL weight that was asked for?"
_NOISE = "Do the decoder and the posterior variances see the same noise?"
_BLOCKS = "Is every part of the model at its best value, given the others?"
_MEAN = "Does the model find the mean of the data?"
_ALIVE = "Are the modes alive that should be?"
_READ = "Does the trained model answer the same question in the same way?"
_TIME = "Has it converged?"

WORDS: dict[str, Words] = {
    "squared-error-averaged": Words(
        _WEIGHT,
        "The KL weighs too much by a factor that grows with the number of features.",
        "the squared error is averaged over features while the KL is summed over latents",
        "sum the squared error over features: ((x - x_hat) ** 2).sum(-1).mean()",
    ),
    "kl-averaged-over-latents": Words(
        _WEIGHT,
        "The KL weighs too little by the number of latents.",
        "the KL is averaged over latents; it is a sum over them",
        "sum the KL over latents and average over the batch: kl.sum(-1).mean()",
    ),
    "both-averaged": Words(
        _WEIGHT,
        "The KL weight is off by the ratio of features to latents.",
        "the squared error is averaged over features and the KL over latents",
        "sum both over their own axis, then average over the batch",
    ),
    "kl-divided-by-features": Words(
        _WEIGHT,
        "The KL weighs too little by the number of features.",
        "the KL is divided by the number of features while the squared error is a sum",
        "drop the division, or average both over features",
    ),
    "kl-multiplied-by-latents": Words(
        _WEIGHT,
        "The KL weighs too much by the number of latents.",
        "the KL is multiplied by the number of latents, or summed over them twice",
        "sum the KL over latents once",
    ),
    "kl-summed-over-batch": Words(
        _WEIGHT,
        "The KL weighs far too much, by the number of samples or of a batch.",
        "the KL is summed over the batch while the squared error is averaged over it",
        "reduce both terms over the batch in the same way",
    ),
    "kl-divided-by-batch-size": Words(
        _WEIGHT,
        "The KL weighs far too little, by the number of samples or of a batch.",
        "the KL is averaged over the batch while the squared error is summed over it, or it is "
        "divided by the size of the batch or the data set twice",
        "reduce both terms over the batch in the same way",
    ),
    "beta-inverted": Words(
        _WEIGHT,
        "The water level falls where beta rises: the trainer uses 1/beta.",
        "beta multiplies the reconstruction term, or the KL is divided by it",
        "use reconstruction + beta * kl",
    ),
    "beta-squared": Words(
        _WEIGHT,
        "The water level rises with the square of beta.",
        "beta is applied twice",
        "multiply the KL by beta once",
    ),
    "beta-ignored": Words(
        _WEIGHT,
        "The water level does not change with beta.",
        "beta never reaches the loss, or a default value is used in its place",
        "pass beta on to the loss",
    ),
    "half-missing": Words(
        _WEIGHT,
        "The KL weight is off by a factor of two for the declared noise variance.",
        "a 1/2 is missing in the KL, or in front of the squared error: the sum of squares without "
        "1/2 means noise_variance = 1/2, with 1/2 it means 1",
        "write 0.5 * (exp(log_var) + mean**2 - 1 - log_var), and the squared error over "
        "2 * noise_variance",
    ),
    "decoder-variance-forgotten": Words(
        _WEIGHT,
        "The model was trained as if the decoder variance were another one.",
        "the squared error is not divided by 2 * noise_variance",
        "use ((x - x_hat) ** 2).sum(-1) / (2 * noise_variance)",
    ),
    "kl-weight-too-large": Words(
        _WEIGHT,
        "The KL weighs too much, by the same factor in every run.",
        "a reduction that differs between the two terms (its factor may be the batch size), or a "
        "weight besides beta",
        "multiply the KL term by 1 / the factor given as evidence, or reduce both terms alike",
    ),
    "annealing-unfinished": Words(
        _WEIGHT,
        "The KL never reached the weight that was asked for.",
        "the warm-up of the KL weight is longer than the training, or another factor below 1 "
        "stands before the KL",
        "shorten the warm-up or train on, until the weight has been beta for some time",
    ),
    "kl-never-on": Words(
        _WEIGHT,
        "The KL has no effect: variances shrink and means spread as without it.",
        "the KL is missing from the loss that is minimised, or its warm-up never begins",
        "add beta * kl to what is minimised",
    ),
    "kl-sign": Words(
        _WEIGHT,
        "The means run away from the prior instead of being held near it.",
        "the KL enters with the wrong sign",
        "add the KL to the loss: kl = -0.5 * (1 + log_var - mean**2 - exp(log_var)) >= 0",
    ),
    "mean-missing-from-kl": Words(
        _WEIGHT,
        "The posterior variances feel the KL and the means do not.",
        "the mean is detached in the KL, or mean**2 is missing there",
        "use mean**2 in the KL, without detach() or no_grad()",
    ),
    "variance-missing-from-kl": Words(
        _WEIGHT,
        "The means feel the KL and the posterior variances do not: they shrink.",
        "log_var is detached in the KL, or its terms are missing there",
        "use exp(log_var) - log_var in the KL, without detach() or no_grad()",
    ),
    "no-sampling-noise": Words(
        _NOISE,
        "The decoder was trained without noise: what it saw has no posterior variance.",
        "the decoder is given the mean instead of a sample (a deterministic autoencoder)",
        "train on z = mean + exp(0.5 * log_var) * noise",
    ),
    "log-variance-is-log-std": Words(
        _NOISE,
        "What the model calls log_var behaves as the logarithm of the standard deviation.",
        "encode() returns log std, or std and log_var are mixed up consistently",
        "return 2 * log_std, or call it what it is",
    ),
    "log-std-in-sampling": Words(
        _NOISE,
        "The decoder saw noise of variance exp(2 log_var), the KL reads exp(log_var).",
        "the sample uses exp(log_var) as standard deviation",
        "use z = mean + exp(0.5 * log_var) * noise",
    ),
    "log-std-in-kl": Words(
        _NOISE,
        "The decoder saw noise of variance exp(log_var), the KL reads exp(2 log_var).",
        "the KL takes log_var for the logarithm of the standard deviation",
        "use exp(log_var) - log_var in the KL",
    ),
    "log-variance-not-trained": Words(
        _BLOCKS,
        "All posterior variances are the same, whatever the mode or beta.",
        "log_var gets no gradient from the reconstruction: it is frozen, detached in the sample, "
        "or the noise has a fixed size",
        "use z = mean + exp(0.5 * log_var) * noise, and give log_var to the optimiser",
    ),
    "decoder-frozen": Words(
        _BLOCKS,
        "Encoder and variances are at their best for a decoder that is not at its own.",
        "the decoder is not trained: left out of the optimiser, detached or frozen",
        "give decoder.parameters() to the optimiser",
    ),
    "encoder-frozen": Words(
        _BLOCKS,
        "The decoder is at its best for an encoder that is not at its own.",
        "the encoder is not trained: left out of the optimiser, detached or frozen",
        "give encoder.parameters() to the optimiser",
    ),
    "latents-detached": Words(
        _ALIVE,
        "Every latent is dead at every beta, however small: nothing of x reaches x_hat.",
        "the reconstruction sends no gradient to the encoder: the sample is detached or drawn "
        "without gradient (.sample() instead of .rsample()), or the decoder ignores z",
        "use z = mean + exp(0.5 * log_var) * noise with gradients",
    ),
    "dead-latent": Words(
        _ALIVE,
        "Latents are dead for which a mode above its critical beta is free.",
        "the latent starts at a saddle: zero weights in encoder and decoder, where no gradient "
        "wakes it, or it was switched off for good early in training",
        "initialise all rows of the encoder and columns of the decoder away from zero",
    ),
    "ddof": Words(
        _WEIGHT,
        "Every eigenvalue is larger than that of the data by N/(N - 1).",
        "the covariance was divided by N - 1 (np.cov, ddof=1); a loss averages over N",
        "use np.cov(X.T, bias=True)",
    ),
    "mean-not-modelled": Words(
        _MEAN,
        "Neither encoder nor decoder has an offset, and the mean is encoded as if it were signal.",
        "the mean was not removed, and the layers have no bias",
        "subtract the mean, or give both layers a bias",
    ),
    "decoder-offset-missing": Words(
        _MEAN,
        "decode() does not give back the mean of the data.",
        "the data are centred in training and the mean is not added to x_hat, or the decoder has "
        "no bias",
        "return decoder(z) + mean, or give the last layer a bias",
    ),
    "encoder-offset-missing": Words(
        _MEAN,
        "encode() does not remove the mean of the data, which costs rate.",
        "the encoder has no bias, or was trained on centred data and is asked about others",
        "give the encoder a bias, or subtract the mean in encode()",
    ),
    "offset-wrong": Words(
        _MEAN,
        "The offsets are not those of the data.",
        "the biases learn too slowly for the size of the mean, weight decay holds them back, or "
        "the data were centred by another mean than their own",
        "centre the data by their own mean, train on, or exempt the biases from weight decay",
    ),
    "noise-at-evaluation": Words(
        _READ,
        "The same input gives another answer at every call.",
        "encode() returns a sample instead of the mean, decode() adds noise, or dropout is on",
        "return the mean; draw samples in training only",
    ),
    "left-in-training-mode": Words(
        _READ,
        "The model came back in training mode, and answers otherwise than in evaluation mode.",
        "dropout or batch normalisation without model.eval()",
        "call model.eval() before the model is used",
    ),
    "batch-dependent": Words(
        _READ,
        "The answer for one sample depends on the others in the batch.",
        "batch statistics are used at evaluation",
        "normalise by fixed statistics",
    ),
    "bounded-output": Words(
        _READ,
        "x_hat is bounded and the data are not.",
        "tanh or sigmoid at the output",
        "leave the last layer linear, or scale the data into its range and use its likelihood",
    ),
    "training-diverged": Words(
        _TIME,
        "The trained parameters are not finite.",
        "the learning rate is too large, or the loss has no minimum (a wrong sign)",
        "check the sign of the KL, then lower the learning rate",
    ),
    "stuck": Words(
        _TIME,
        "The gradient is all but zero and the excess is not: training stopped at a saddle.",
        "latents follow modes of smaller variance than the free ones",
        "start from other weights, larger or random",
    ),
    "not-converged": Words(
        _TIME,
        "The parameters are not at the minimum of the declared objective, and no single fault "
        "explains where they are.",
        "either training stopped too early, or its learning rate is too small or too large; or "
        "another objective was minimised (weight decay, free bits, another prior, tied weights, a "
        "KL weight that changed late)",
        "train longer and lower the learning rate towards the end; if the excess stays, look for "
        "what else is in the loss or the optimiser",
    ),
    "weight-decay": Words(
        _TIME,
        "The gradient of the declared objective is minus a constant times the weights, in encoder "
        "and decoder: the minimum of another objective, with an L2 penalty.",
        "weight_decay in the optimiser, or a penalty on the weights in the loss",
        "set weight_decay=0 for encoder and decoder",
    ),
    "tied-weights": Words(
        _BLOCKS,
        "The decoder is the transpose of the encoder, and neither is at its best.",
        "one matrix serves for both; the optimum needs E and D of different lengths",
        "give the decoder weights of its own",
    ),
    "free-bits": Words(
        _ALIVE,
        "Latents that should carry less, or nothing, are all held at one rate.",
        "the loss does not count the KL below a floor for each latent (free bits)",
        "use the KL itself: beta * kl.sum(-1).mean() without clamp or max",
    ),
    "prior-variance": Words(
        _WEIGHT,
        "Means and posterior variances are those of a prior whose variance is not 1.",
        "the KL is to N(0, s) with s the factor given as evidence, or the latents and the decoder "
        "were rescaled after training",
        "use 0.5 * (exp(log_var) + mean**2 - 1 - log_var), the KL to N(0, 1)",
    ),
    "square-root-in-sampling": Words(
        _NOISE,
        "The decoder saw noise of variance exp(0.5 log_var), the KL reads exp(log_var).",
        "the sample uses exp(0.25 * log_var), or the root of a standard deviation",
        "use z = mean + exp(0.5 * log_var) * noise",
    ),
    "log-variance-clamped": Words(
        _BLOCKS,
        "Posterior variances stop at a floor where the optimum has smaller ones.",
        "log_var is clamped from below",
        "lower the clamp, to log_var >= -20 or so",
    ),
    "log-variance-clamped-at-evaluation": Words(
        _READ,
        "encode() gives no posterior variance below a floor, and the decoder was trained with less "
        "noise than that.",
        "log_var is clamped in evaluation and not in training",
        "return the log_var that was trained, or clamp it in both",
    ),
    "second-output-is-a-variance": Words(
        _READ,
        "The second thing encode() returns is the posterior variance, not its logarithm.",
        "encode() returns (mean, var) where (mean, log_var) is asked for; the model itself is "
        "examined by its variances as they are meant",
        "return mean, var.log()",
    ),
    "second-output-is-a-standard-deviation": Words(
        _READ,
        "The second thing encode() returns is the posterior standard deviation, not log_var.",
        "encode() returns (mean, std) where (mean, log_var) is asked for; the model itself is "
        "examined by its standard deviations as they are meant",
        "return mean, 2 * std.log()",
    ),
    "mean-and-log-variance-swapped": Words(
        _READ,
        "encode() returns the log-variance first and the mean second.",
        "the two heads are returned in the wrong order; the model itself is examined in the right "
        "one",
        "return mean, log_var",
    ),
    "latent-dim-ignored": Words(
        _READ,
        "The models do not have the number of latents that was asked for.",
        "latent_dim never reaches the model, or a default is used in its place",
        "pass latent_dim on to the encoder and the decoder",
    ),
}


def finding(code: str, evidence: Mapping[str, Any], rivals: Sequence[str] = ()) -> Finding:
    """The finding of that code, with the evidence given, and causes that explain it as well."""
    words = WORDS[code]
    cause = words.cause
    if rivals:
        cause += "; these runs cannot tell it from: " + "; or ".join(rivals)
    return Finding(code, words.asked, words.found, plain(evidence), cause, words.remedy)


def plain(value: Any) -> Any:
    """The same with None for every number that is not finite: JSON has no others."""
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value
