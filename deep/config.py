"""The settings of an experiment: typed, checked, saved with the run.

Every section refuses unknown keys. :mod:`deep.settings` reads them from YAML; ``linvae train``
also takes ``section.key=value`` on the command line. What each number means is said once, here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deep.variants import complaint, with_variant

__all__ = [
    "BetaConfig",
    "DataConfig",
    "DedicatedConfig",
    "EvaluationConfig",
    "ExperimentConfig",
    "LikelihoodConfig",
    "ModelConfig",
    "OptimiserConfig",
    "TrainingConfig",
]

GateName = Literal["none", "sigmoid", "sqrt_relu", "min_exp", "tanh", "affine", "film"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(_Section):
    """What is learned from.

    ``name`` is a data set of :mod:`deep.data`, ``file`` or ``images``; ``path`` a file or folder to
    read instead of the download; ``spectrum`` the eigenvalues of a Gaussian source. ``binarise``
    draws grey pixels as 0 or 1: anew at every step of the training, once for held-out splits.

    ``size`` is the height and width to which images are cropped in the middle and resized (None: as
    they are, or as usual for the data set); ``augment`` = ``flip`` mirrors half of the training
    images, anew at every step; ``streaming`` reads images from the disk as they are needed instead
    of holding them in memory.
    """

    name: str = "digits"
    path: str | None = None
    key: str | None = None
    limit: int | None = Field(default=None, ge=1)
    spectrum: tuple[float, ...] | None = None
    binarise: bool = False
    size: int | None = Field(default=None, ge=1)
    augment: Literal["none", "flip"] = "none"
    streaming: bool = False


class ModelConfig(_Section):
    """The network. ``gated`` and ``ungated`` are patterns of layer names (fnmatch).

    ``conv`` and ``resnet`` take images; ``channels`` are those of their stages, the first at half
    the resolution of the images (empty: the published sizes). ``hidden`` and ``activation`` are of
    the ``mlp`` alone.

    ``posterior_gate`` = ``collapsing`` puts gates on the latents themselves, at critical β's.

    ``conditioning``: how a network for all β learns which β is meant. ``gates`` on the rows of its
    layers, or log β as one more ``input`` of encoder and decoder. ``gate_hidden`` is the width of a
    hidden layer between log β and the gates; None: one affine map per row.

    ``whitening``: the linear network reads the data in coordinates of about equal variance, which
    changes no function it can compute, only how fast it learns.
    """

    kind: Literal["linear", "mlp", "conv", "resnet"] = "mlp"
    latent_dim: int = Field(default=32, ge=1)
    hidden: tuple[int, ...] = (400,)
    channels: tuple[Annotated[int, Field(ge=1)], ...] = ()
    activation: Literal["relu", "tanh", "gelu", "silu"] = "relu"
    conditioning: Literal["gates", "input"] = "gates"
    gate_hidden: int | None = Field(default=None, ge=1)
    encoder_gate: GateName = "sigmoid"
    posterior_gate: Literal[GateName, "collapsing"] = "min_exp"
    decoder_gate: GateName = "sigmoid"
    gated: tuple[str, ...] = ("*",)
    ungated: tuple[str, ...] = ()
    placement: Literal["before_norm", "after_norm"] = "before_norm"
    whitening: bool = True


class LikelihoodConfig(_Section):
    """p(x|z). ``noise_variance`` is σ² of ``gaussian``; ``levels`` of ``discretised_logistic``."""

    kind: Literal["gaussian", "calibrated", "bernoulli", "discretised_logistic"] = "gaussian"
    noise_variance: float = Field(default=1.0, gt=0)
    levels: int = Field(default=256, ge=2)


class BetaConfig(_Section):
    """The weights of the rate.

    ``draw``: one log-uniform β per ``batch``, per ``example``, or ``stratified`` over the batch;
    ``constant`` is the β-VAE with ``value``. ``annealing`` multiplies β: ``linear`` from 0 to 1
    over the first ``annealing_part`` of the training, ``cyclical`` the same in each of ``cycles``,
    ``geometric`` from low/high to 1. ``tilt`` τ weighs the loss of each β by (β/√(low·high))^−τ:
    positive, it favours the small β's; negative, the large ones. ``per_sample``: so many β's for
    each sample of a batch, and steps that cost so many times as much.
    """

    low: float = Field(default=0.01, gt=0)
    high: float = Field(default=10.0, gt=0)
    draw: Literal["batch", "example", "stratified", "constant"] = "stratified"
    value: float = Field(default=1.0, gt=0)
    annealing: Literal["none", "linear", "cyclical", "geometric"] = "none"
    annealing_part: float = Field(default=0.3, gt=0, le=1)
    cycles: int = Field(default=4, ge=1)
    tilt: float = 0.0
    per_sample: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> BetaConfig:
        if not self.low < self.high:
            raise ValueError(f"got low = {self.low}, high = {self.high}; expected low < high; "
                             "put the smallest β first")  # fmt: skip
        if self.draw == "batch" and self.per_sample > 1:
            raise ValueError(f"got per_sample = {self.per_sample} with draw = batch; expected 1, "
                             "as a batch shares one β; draw stratified or example")  # fmt: skip
        return self


class OptimiserConfig(_Section):
    """Adam(W): linear warm-up over ``warmup`` of the steps, cosine to ``final`` × the rate.

    ``gate_learning_rate`` is that of gates (and other vectors of a linear model); None: the same.
    ``clip`` is the largest gradient norm.
    """

    name: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0)
    gate_learning_rate: float | None = Field(default=None, gt=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    final: float = Field(default=0.0, ge=0, le=1)
    clip: float | None = Field(default=None, gt=0)


class TrainingConfig(_Section):
    """The loop. ``checkpoint_every`` and ``log_every`` count steps; None: about 20 and 200 a run.

    ``sharpness`` of smoothed gates rises geometrically from first to last over ``rise`` of the
    training; the last ``exact`` of it uses the exact gates. None: exact gates throughout.

    ``latents``: one ``sampled`` z for each sample, or the ``expected`` distortion over z, which a
    linear network with a Gaussian likelihood has in closed form.
    """

    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=128, ge=1)
    optimiser: OptimiserConfig = OptimiserConfig()
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = Field(default=1, ge=1)
    precision: Literal["32-true", "64-true", "bf16-mixed", "bf16-true"] = "32-true"
    threads: int | None = Field(default=None, ge=1)
    sharpness: tuple[float, float] | None = None
    rise: float = Field(default=0.6, gt=0, le=1)
    exact: float = Field(default=0.1, ge=0, le=1)
    latents: Literal["sampled", "expected"] = "sampled"
    checkpoint_every: int | None = Field(default=None, ge=1)
    log_every: int | None = Field(default=None, ge=1)
    keep_last: int = Field(default=2, ge=1)
    tensorboard: bool = False


class EvaluationConfig(_Section):
    """Where the curve is read: ``points`` β's, log-spaced over [low, high].

    None: the ends of the β section.

    ``noise_draws`` latents per sample; ``limit`` samples of the held-out split (None: all).
    ``frechet`` also measures Fréchet distances of ``images`` images (None: of as many as are held
    out), by the features of a TorchScript file, or of a classifier trained on the data set.
    """

    points: int = Field(default=10, ge=2)
    low: float | None = Field(default=None, gt=0)
    high: float | None = Field(default=None, gt=0)
    noise_draws: int = Field(default=1, ge=1)
    limit: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=1000, ge=1)
    frechet: bool = False
    images: int | None = Field(default=None, ge=2)
    features: str | None = None


class DedicatedConfig(_Section):
    """Separately trained β-VAEs beside the multi-rate one: ``points`` of them (0: none).

    ``seeds``: for so many of the seeds (None: all). ``also_annealed`` trains each of them a second
    time, with its β annealed.
    """

    points: int = Field(default=10, ge=0)
    seeds: int | None = Field(default=None, ge=1)
    annealing: Literal["none", "linear", "cyclical", "geometric"] = "none"
    learning_rate: float | None = Field(default=None, gt=0)
    also_annealed: Literal["none", "linear", "cyclical", "geometric"] = "none"


VariantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class ExperimentConfig(_Section):
    """All of it. Saved as ``experiment.json`` in the folder of the run.

    ``variants`` are other multi-rate networks to put beside the first: by name, the sections and
    keys in which they differ.
    """

    name: str = Field(default="run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str = ""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    likelihood: LikelihoodConfig = LikelihoodConfig()
    beta: BetaConfig = BetaConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    dedicated: DedicatedConfig = DedicatedConfig()
    variants: dict[VariantName, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _readable(self) -> ExperimentConfig:
        low, high = self.reading_range
        if not low < high:
            raise ValueError(f"got evaluation from {low} to {high}; expected low < high; "
                             "put the smallest β first")  # fmt: skip
        kind = self.likelihood.kind
        if self.model.kind == "linear" and kind not in ("gaussian", "calibrated"):
            raise ValueError(f"got a linear network with likelihood {kind}; expected gaussian or "
                             "calibrated, as its output is a mean; use an mlp")  # fmt: skip
        if self.training.latents == "expected" and self.training.devices > 1:
            raise ValueError("got training.latents = expected on several devices; expected one "
                             "device; sample the latents")  # fmt: skip
        closed = self.model.kind == "linear" and kind == "gaussian"
        if self.training.latents == "expected" and not closed:
            raise ValueError("got training.latents = expected; expected a linear network with a "
                             "gaussian likelihood; sample the latents")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _variants_valid(self) -> ExperimentConfig:
        for name, change in self.variants.items():
            problem = complaint(name, change) or self._problem_of(change)
            if problem is not None:
                raise ValueError(f"variant {name}: {problem}")
        return self

    def _problem_of(self, change: dict[str, Any]) -> str | None:
        try:
            ExperimentConfig.model_validate(with_variant(self.model_dump(), change))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            known = first["type"] != "extra_forbidden"
            message = first["msg"].removeprefix("Value error, ") if known else "unknown key"
            return f"{where}: {message}".removeprefix(": ")
        return None

    @property
    def reading_range(self) -> tuple[float, float]:
        """Smallest and largest β at which the curve is read, and dedicated networks trained."""
        low, high = self.evaluation.low, self.evaluation.high
        return (low or self.beta.low, high or self.beta.high)

    def with_changes(self, **sections: Any) -> ExperimentConfig:
        """Return a checked copy; sections are mappings of the keys to change, or new values."""
        plain = self.model_dump()
        for name, change in sections.items():
            old = plain.get(name)
            nested = isinstance(old, dict) and isinstance(change, dict)
            plain[name] = {**old, **change} if nested else change
        return ExperimentConfig.model_validate(plain)
