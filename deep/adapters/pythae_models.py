"""Models of Pythae: their loss as it is, their training with linear networks."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable
from typing import Any

from deep._checks import fail
from deep.adapters.adapted import Adapted, Kind
from deep.adapters.libraries import kept, seed_all, tensors
from deep.adapters.models import reconstruction_of
from deep.adapters.posteriors import posterior_of

__all__ = ["TRAINING", "adapt_pythae", "is_pythae"]

# Of Pythae's own trainer. Its defaults (steps of 1e-4) stop far from the optimum; the last epochs
# take small steps, whose noise would otherwise be seen as a gap.
TRAINING = {
    "num_epochs": 100,
    "learning_rate": 2e-2,
    "per_device_train_batch_size": 50,
    "optimizer_cls": "Adam",
    "scheduler_cls": "MultiStepLR",
    "scheduler_params": {"milestones": [60, 80, 92], "gamma": 0.3},
}
_PROBES = 3  # features and latents of the networks that only carry a loss


def is_pythae(thing: Any) -> bool:
    """Whether it is a model of Pythae or a class of them."""
    make = thing if isinstance(thing, type) else type(thing)
    return any(base.__module__.startswith("pythae.models") for base in make.__mro__)


def adapt_pythae(thing: Any, kind: Kind | None = None, beta: float | None = None) -> Adapted:
    """A Pythae model or class: its ``loss_function``, its networks, or its training.

    Parameters
    ----------
    thing : pythae.models.BaseAE, or a class of them
        A class is made with ``beta`` where its configuration has one, and with linear networks.
    kind : {"loss", "model", "trainer"}, optional
        A class is examined as a loss, an instance as a model, unless something else is asked for.
    beta : float, optional
        For classes whose configuration has a β.

    Raises
    ------
    InputError
        A kind it cannot be examined as, such as a class as a model.
    """
    make = thing if isinstance(thing, type) else type(thing)
    chosen = kind or ("loss" if isinstance(thing, type) else "model")
    if chosen == "trainer":
        return _trainer(make)
    if chosen == "loss":
        held = _made(make, _PROBES, _PROBES, beta) if isinstance(thing, type) else thing
        return _loss(held)
    if chosen == "model" and not isinstance(thing, type):
        return _model(thing)
    return fail("kind", f"{chosen} for {make.__name__}", "loss, trainer, or a model that is made",
                "choose --kind loss or --kind trainer")  # fmt: skip


def _configuration(make: type) -> type:
    """The configuration class that belongs to a model class, found beside it."""
    import importlib

    package = importlib.import_module(make.__module__.rpartition(".")[0])
    found = getattr(package, make.__name__ + "Config", None)
    if found is None:
        fail("pythae", make.__name__, f"{make.__name__}Config in {package.__name__}",
             "pass an instance of the model instead")  # fmt: skip
    kind: type = found
    return kind


def _made(make: type, n_features: int, latent_dim: int, beta: float | None) -> Any:
    """An instance with linear networks: the only ones whose optimum is known exactly."""
    encoder, decoder = _linear_networks(n_features, latent_dim)
    configuration = _configuration(make)
    options: dict[str, Any] = {"input_dim": (n_features,), "latent_dim": latent_dim}
    if beta is not None and _takes_beta(make):
        options["beta"] = beta
    return make(configuration(**options), encoder, decoder)


def _takes_beta(make: type) -> bool:
    return "beta" in inspect.signature(_configuration(make)).parameters


def _linear_networks(n_features: int, latent_dim: int) -> tuple[Any, Any]:
    """Affine encoder with one variance per latent, affine decoder, on Pythae's base classes."""
    import torch
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class LinearEncoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.mean = torch.nn.Linear(n_features, latent_dim)
            self.log_variance = torch.nn.Parameter(torch.zeros(latent_dim))

        def forward(self, x: Any) -> Any:
            mean = self.mean(x.flatten(1))
            return ModelOutput(embedding=mean, log_covariance=self.log_variance.expand_as(mean))

    class LinearDecoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.mean = torch.nn.Linear(latent_dim, n_features)

        def forward(self, z: Any) -> Any:
            return ModelOutput(reconstruction=self.mean(z))

    return LinearEncoder(), LinearDecoder()


def _loss(model: Any) -> Adapted:
    convert = tensors()

    def called(x: Any, x_hat: Any, mean: Any, log_var: Any) -> dict[str, Any]:
        parts = [convert(part) for part in (x_hat, x, mean, log_var)]
        total, *rest = model.loss_function(*parts, parts[2])
        return {"loss": total, **dict(zip(("recon_loss", "kld"), rest, strict=False))}

    def in_mode(switch: Callable[[], Any]) -> Callable[..., Any]:
        def loss(*parts: Any) -> Any:
            switch()
            return called(*parts)

        return loss

    if not callable(getattr(model, "loss_function", None)):
        fail("pythae", type(model).__name__, "a model with loss_function",
             "examine it with --kind trainer")  # fmt: skip
    return Adapted("pythae", "loss", loss=in_mode(model.train), evaluation=in_mode(model.eval),
                   convert=convert, state=lambda: kept((model,)))  # fmt: skip


def _model(model: Any) -> Adapted:
    convert = tensors(model)
    shape = tuple(model.model_config.input_dim or ())

    def encode(x: Any) -> Any:
        rows = convert(x)
        return posterior_of(model.encoder(rows.reshape(len(rows), *shape) if shape else rows))

    def decode(z: Any) -> Any:
        return reconstruction_of(model.decoder(convert(z)))

    return Adapted(
        "pythae", "model", encode=encode, decode=decode, convert=convert,
        state=lambda: kept((model,)), train=model.train, eval=model.eval, modules=model.modules,
        buffers=model.buffers, noise_variance=1.0, latent_dim=model.latent_dim,
    )  # fmt: skip


def _trainer(make: type) -> Adapted:
    def fit(X: Any, beta: float, latent_dim: int, seed: int) -> Adapted:
        from pythae.pipelines import TrainingPipeline
        from pythae.trainers import BaseTrainerConfig

        seed_all(seed)
        model = _made(make, X.shape[1], latent_dim, beta)
        with tempfile.TemporaryDirectory() as folder:
            settings = BaseTrainerConfig(output_dir=folder, seed=seed, no_cuda=True, **TRAINING)
            pipeline = TrainingPipeline(model=model, training_config=settings)
            pipeline(train_data=X.astype("float32"))
        return _model(pipeline.trainer._best_model)

    takes_beta = _takes_beta(make)
    notes = ["trained by Pythae's pipeline with linear networks, "
             f"{TRAINING['num_epochs']} epochs"]  # fmt: skip
    notes += [] if takes_beta else [f"{make.__name__} has no parameter for beta; it is taken as 1"]
    return Adapted("pythae", "trainer", fit=fit, state=kept, noise_variance=1.0,
                   betas=None if takes_beta else (1.0,), notes=tuple(notes))  # fmt: skip
