"""A small classifier, trained in a minute, whose last hidden layer describes images."""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deep._checks import fail
from deep.config import DataConfig
from deep.data.download import cache_folder
from deep.errors import CheckpointError, DeepWarning
from deep.evaluation.labelled import LabelledImages, labelled_images
from deep.evaluation.samples import Shape
from deep.randomness import generator
from deep.training.checkpoints import pack, put, tensors_of, unpack
from deep.training.files import canonical, digest, make_folder, read_sealed, sealed, write_folder

__all__ = ["ClassifierFeatures", "ClassifierSettings", "classifier_features", "train_classifier"]

_FORMAT = 1
_ABOUT, _WEIGHTS = "about.json", "model.safetensors"
_SMALLEST = 8  # stages halve images until they are no larger


@dataclass(frozen=True)
class ClassifierSettings:
    """Of the network and its training; the defaults take well under a minute on one core.

    Attributes
    ----------
    features : int
        m, width of the last hidden layer.
    channels : int
        Of the first stage; each further one has twice as many.
    steps, batch_size : int
    learning_rate : float
        Of Adam, along a cosine to 0.
    seed : int
    """

    features: int = 64
    channels: int = 16
    steps: int = 1200
    batch_size: int = 128
    learning_rate: float = 2e-3
    seed: int = 0


class ClassifierFeatures:
    r"""Activations of the last hidden layer of a small convolutional classifier.

    .. math:: f(x) = \operatorname{relu}(W h(x) + b)

    Attributes
    ----------
    name : str
        On which labels it was trained, and its accuracy on images held out.
    sha256 : str
        Of the weights.
    accuracy : float
        Share of held-out images classified right.
    """

    def __init__(self, network: nn.Module, shape: Shape, source: str, accuracy: float) -> None:
        self._network = network.eval()
        self._shape = shape
        self.accuracy = accuracy
        self.sha256 = digest(pack(tensors_of(network)))
        self.name = f"small classifier, {source}, held-out accuracy {100 * accuracy:.1f} %"

    def __call__(self, images: Tensor) -> Tensor:
        """Features (N, m); images of another shape than those of the training are refused."""
        if tuple(images.shape[1:]) != self._shape:
            wanted = ", ".join(map(str, self._shape))
            fail("images", f"shape {tuple(images.shape)}", f"(N, {wanted})",
                 "use the features of their data set")  # fmt: skip
        features: Tensor = self._network.get_submodule("hidden")(images.float())
        return features


def classifier_features(
    config: DataConfig,
    *,
    settings: ClassifierSettings | None = None,
    cache: Path | None = None,
) -> ClassifierFeatures:
    """Features of a classifier for a data set: kept from an earlier call, or trained now.

    Parameters
    ----------
    config : DataConfig
        Its ``limit`` and ``augment`` do not count, so that experiments on one data set are judged
        by the same features.
    settings : ClassifierSettings, optional
    cache : Path, optional
        Folder for trained classifiers; ``features`` in that of the downloads when omitted. They are
        found again by the checksum of images, labels and settings.

    Raises
    ------
    DataError
        As :func:`deep.evaluation.labelled.labelled_images`.
    """
    plan = settings or ClassifierSettings()
    data = labelled_images(config)
    key = digest(canonical({"format": _FORMAT, "data": data.checksum(), "source": data.source,
                            "drawn": data.drawn, "settings": asdict(plan)}))  # fmt: skip
    folder = (cache_folder() / "features" if cache is None else Path(cache)) / key[:32]
    network = _build(data.shape, data.n_classes, plan)
    if (folder / _ABOUT).is_file():
        try:
            return _kept(folder, network, data)
        except CheckpointError:
            pass  # trained anew and written over
    accuracy = train_classifier(network, data, plan)
    _keep(folder, network, {"source": data.source, "accuracy": accuracy, "settings": asdict(plan),
                            "torch": torch.__version__})  # fmt: skip
    return ClassifierFeatures(network, data.shape, data.source, accuracy)


def train_classifier(
    network: nn.Module, data: LabelledImages, settings: ClassifierSettings
) -> float:
    """Train in place; return the share of held-out images that are classified right."""
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    network.train()
    for step in range(settings.steps):
        rate = (1 + math.cos(math.pi * step / settings.steps)) / 2
        optimiser.param_groups[0]["lr"] = settings.learning_rate * rate
        images, labels = data.batch(step, settings.batch_size, settings.seed)
        loss = nn.functional.cross_entropy(network(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    right = total = 0
    with torch.no_grad():
        for images, labels in data.held_out(settings.batch_size):
            right += int((network(images).argmax(1) == labels).sum())
            total += len(labels)
    return right / total


def _build(shape: Shape, n_classes: int, settings: ClassifierSettings) -> nn.Module:
    """Stages of stride 2, one hidden layer, one layer of classes."""
    draws = generator(settings.seed, "features weights")
    channels, size = shape[0], (shape[1], shape[2])
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    stage = 0
    while stage == 0 or max(size) > _SMALLEST:
        wider = settings.channels * 2**stage
        convolution = nn.utils.skip_init(nn.Conv2d, channels, wider, 3, stride=2, padding=1)
        layers[f"stage_{stage + 1}"] = _drawn(convolution, draws)
        layers[f"activation_{stage + 1}"] = nn.ReLU()
        channels, size, stage = wider, ((size[0] + 1) // 2, (size[1] + 1) // 2), stage + 1
    layers["flatten"] = nn.Flatten()
    inputs = channels * size[0] * size[1]
    layers["features"] = _drawn(nn.utils.skip_init(nn.Linear, inputs, settings.features), draws)
    layers["relu"] = nn.ReLU()
    classes = _drawn(nn.utils.skip_init(nn.Linear, settings.features, n_classes), draws)
    return nn.Sequential(OrderedDict(hidden=nn.Sequential(layers), classes=classes))


def _drawn(layer: nn.Module, draws: torch.Generator) -> nn.Module:
    """Weights as PyTorch draws them, uniform on ±1/√inputs, but not from its global generator."""
    bound = 1 / math.sqrt(layer.get_parameter("weight")[0].numel())
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=draws)
    return layer


def _keep(folder: Path, network: nn.Module, about: dict[str, Any]) -> None:
    weights = pack(tensors_of(network))
    content = {"format": _FORMAT, "files": {_WEIGHTS: digest(weights)}, **about}
    try:
        make_folder(folder.parent)
        write_folder(folder, {_WEIGHTS: weights, _ABOUT: sealed(content)})
    except OSError as error:  # the features are good all the same
        message = f"the classifier is not kept in {folder}: {error.strerror or error}"
        warnings.warn(message, DeepWarning, stacklevel=3)


def _kept(folder: Path, network: nn.Module, data: LabelledImages) -> ClassifierFeatures:
    about = read_sealed(folder / _ABOUT)
    put(network, unpack(folder / _WEIGHTS, about["files"][_WEIGHTS]), str(folder))
    return ClassifierFeatures(network, data.shape, data.source, float(about["accuracy"]))
