"""Calling a metric of unknown signature: what each parameter is, read off its name or its place."""

from __future__ import annotations

import inspect
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linvae._validation import FloatArray
from linvae.doctor.sandbox import as_numbers, call
from linvae.errors import SubjectError

__all__ = ["Caller", "as_value", "is_called", "names_of", "required_names"]

Convert = Callable[[FloatArray], Any]

# Role -> the names it goes by, lower case and without underscores.
_NAMES: Mapping[str, str] = {
    "mean": "mean mu mus means zmean zmu qmean qmu qzmean qzmu posteriormean posteriormeans loc "
    "codemean latentmean meanz muz",
    "log_var": "logvar logvars logvariance zlogvar zlogvariance qlogvar qzlogvar posteriorlogvar "
    "logsigma2 logsigmasq logsigmasquared lnvar logvarz latentlogvar",
    "log_std": "logstd logsigma zlogstd zlogsigma logscale lnstd",
    "std": "std sigma stddev stdev zstd sd scale posteriorstd qstd",
    "var": "var variance variances posteriorvariance posteriorvar zvar sigma2 sigmasq",
    "z": "z zs sample samples latent latents zsample zsamples zsampled codesamples",
    "covariance": "cov covariance covmatrix sigmaz covz covariancematrix",
    "x": "x data xs batch images inputs",
    "factors": "factors factor v vs labels label y ys gt groundtruth groundtruthfactors "
    "truefactors generativefactors targets factorvalues ystrain ytrain factorstrain",
    "codes": "codes code c representation representations reps embedding embeddings mus "
    "mustrain codestrain",
    "real": "x real xreal reals realfeatures featuresreal a act1 features1 x1 p data reference",
    "fake": "y fake xfake fakes fakefeatures featuresfake b act2 features2 x2 q generated samples",
    "mean_1": "mu1 m1 mean1 mux mureal meanx muR mur",
    "cov_1": "sigma1 s1 cov1 c1 sigmax sigmareal covx sigmar",
    "mean_2": "mu2 m2 mean2 muy mufake meany mug",
    "cov_2": "sigma2 s2 cov2 c2 sigmay sigmafake covy sigmag",
    "log_weights": "logw logweights logweight lw logws logimportanceweights logratios logiw",
    "log_joint": "logp logpxz logjoint logpzx logpjoint logprobjoint",
    "log_px": "logpxz logpx logpxgivenz loglikelihood logpxgz loglik recon logpxcondz",
    "log_pz": "logpz logprior logpriorz prior",
    "log_qz": "logq logqz logqzx logqzgivenx logposterior logqzcondx logproposal",
    "model": "model vae net network module autoencoder",
    "encode": "encode encoder enc encoderfn encodefn",
    "decode": "decode decoder dec decoderfn decodefn",
    "n_samples": "k nsamples numsamples nsample s iwsamples nimportancesamples "
    "numimportancesamples nimportance importancesamples ksamples nis l m samples",
    "noise_variance": "noisevariance sigma2 sigmax2 decodervariance noisevar s2 xvar sigmasq",
    "noise_std": "noisestd sigma sigmax decoderstd xstd std",
    "threshold": "threshold thresh eps epsilon delta tol",
    "dataset_size": "datasetsize ndata n numdata datasize nsamples nobservations trainsize",
    "batch_size": "batchsize bs",
    "seed": "seed randomstate",
    "rng": "rng generator randomgenerator",
}


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def names_of(role: str) -> frozenset[str]:
    """The names a role goes by."""
    return frozenset(_plain(word) for word in _NAMES[role].split())


def is_called(name: str, role: str) -> bool:
    """Whether a parameter's name stands for the role."""
    return _plain(name) in names_of(role)


def required_names(
    function: Callable[..., Any], always: Sequence[str] = ()
) -> tuple[str, ...] | None:
    """Return the parameters without a default, or None where the signature cannot be read.

    Those that stand for a role in `always` are returned in any case.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return tuple(
        p.name
        for p in parameters
        if p.kind is not p.VAR_KEYWORD
        and (p.default is p.empty or any(is_called(p.name, role) for role in always))
    )


@dataclass
class Caller:
    """A metric, with how its parameters are filled.

    `roles` are what can be supplied, in the order in which names are looked up; `places` are the
    roles by position, for a function whose names say nothing; `always` are passed to optional
    parameters, too.
    """

    function: Callable[..., Any]
    roles: Sequence[str]
    places: Sequence[str]
    convert: Convert | None = None
    seed: int = 0
    always: Sequence[str] = ()
    seconds: float = 0.0
    plan: tuple[tuple[str, str], ...] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        names = required_names(self.function, self.always)
        if names is not None:
            self.plan = self._read(names)

    def _read(self, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """Pair each parameter with a role: by name first, what is left by place."""
        found: dict[str, str] = {}
        for name in names:
            fits = (r for r in self.roles if is_called(name, r))
            role = next((r for r in fits if r not in found.values()), None)
            if role is not None:
                found[name] = role
        left = iter([r for r in self.places if r not in found.values()])
        for name in names:
            if name not in found:
                role = next(left, None)
                if role is None:
                    raise SubjectError(
                        f"the parameter {name!r} of {_title(self.function)} is of unknown meaning; "
                        f"known are {', '.join(self.roles)}: wrap the metric in a function that "
                        "takes these names"
                    )
                found[name] = role
        return tuple((name, found[name]) for name in names)

    @property
    def takes(self) -> tuple[str, ...]:
        """The roles that are passed."""
        return tuple(self.places) if self.plan is None else tuple(role for _, role in self.plan)

    def __call__(self, supply: Mapping[str, Any]) -> Any:
        """Call the metric; its own randomness starts from a fresh seed each time."""
        self.seed += 1
        random.seed(self.seed)
        np.random.seed(self.seed % 2**32)  # noqa: NPY002 (theirs; the sandbox puts it back)
        start = time.perf_counter()
        try:
            return call(self.function, *self._positional(supply), **self._named(supply))
        finally:
            self.seconds = time.perf_counter() - start

    def _positional(self, supply: Mapping[str, Any]) -> list[Any]:
        if self.plan is None:
            return [self._given(supply, role) for role in self.places]
        kinds = inspect.signature(self.function).parameters
        return [self._given(supply, role) for name, role in self.plan if not _by_name(kinds[name])]

    def _named(self, supply: Mapping[str, Any]) -> dict[str, Any]:
        if self.plan is None:
            return {}
        kinds = inspect.signature(self.function).parameters
        return {
            name: self._given(supply, role) for name, role in self.plan if _by_name(kinds[name])
        }

    def _given(self, supply: Mapping[str, Any], role: str) -> Any:
        if role == "seed":
            return self.seed
        if role == "rng":
            return np.random.default_rng(self.seed)
        value = supply[role]
        if isinstance(value, np.ndarray):
            # A copy: their code may write to what it is given.
            return value.copy() if self.convert is None else self.convert(value.copy())
        return value


def _by_name(parameter: inspect.Parameter) -> bool:
    """Optional parameters go by name: others may stand before them."""
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        return False
    optional = parameter.default is not inspect.Parameter.empty
    return optional or parameter.kind is inspect.Parameter.KEYWORD_ONLY


def _title(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def as_value(what: str, returned: Any, rows: int | None = None) -> float:
    """One number out of what a metric returned: a number, the first of a tuple, a mapping's entry.

    An array of one entry per sample is averaged.

    Raises
    ------
    SubjectError
        Nothing of the kind.
    """
    if isinstance(returned, Mapping):
        returned = _entry(what, returned)
    if isinstance(returned, tuple | list) and len(returned) and not _all_numbers(returned):
        returned = returned[0]
    if returned is None:
        raise SubjectError(f"{what}: the metric returned None; return the number it computes")
    values = as_numbers(what, returned)
    if values.size == 1:
        return float(values.reshape(()))
    if rows is not None and values.shape in ((rows,), (rows, 1)):
        return float(values.mean())
    raise SubjectError(
        f"{what}: the metric returned an array of shape {values.shape}; "
        "return one number, or one per sample"
    )


def _all_numbers(returned: Sequence[Any]) -> bool:
    return len(returned) > 2 and all(np.ndim(entry) == 0 for entry in returned)


def _entry(what: str, returned: Mapping[Any, Any]) -> Any:
    initials = "".join(word[0] for word in what.split("_"))
    for key in (what, initials, "total", "value", "score"):
        if key in returned:
            return returned[key]
    if len(returned) == 1:
        return next(iter(returned.values()))
    raise SubjectError(
        f"{what}: the metric returned a mapping with {', '.join(map(str, returned))}; "
        f"name the number {what!r}"
    )
