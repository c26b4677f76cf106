"""Where the public data sets are and what their files must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["IMAGE_SETS", "REMOTE_SETS", "RemoteFile", "RemoteSet"]


@dataclass(frozen=True)
class RemoteFile:
    """A file with its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class RemoteSet:
    """A data set on the web.

    Attributes
    ----------
    name : str
        Also the folder of its files in the cache.
    mirrors : tuple of str
        Addresses, ending in "/", to each of which a file name may be added; tried in order.
    format : str
        Of the images.
    sample_shape : tuple of int
    images, labels : mapping from split to RemoteFile
        The same file for several splits, or one for both, when it holds both.
    """

    name: str
    mirrors: tuple[str, ...]
    format: Literal["idx", "amat", "zip", "tar", "mat"]
    sample_shape: tuple[int, ...]
    images: Mapping[str, RemoteFile]
    labels: Mapping[str, RemoteFile] = field(default_factory=dict)


# The checksums are of the files as they have been distributed since their publication. The
# compressed originals of MNIST and Fashion-MNIST were hashed as they are; of binarized MNIST, which
# is published as plain text, the content was.
_MNIST = RemoteSet(
    name="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    format="idx",
    sample_shape=(28, 28),
    images={
        "train": RemoteFile(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        "test": RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
    },
    labels={
        "train": RemoteFile(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        "test": RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    },
)

_FASHION_MNIST = RemoteSet(
    name="fashion_mnist",
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    format="idx",
    sample_shape=(28, 28),
    images={
        "train": RemoteFile(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        "test": RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
    },
    labels={
        "train": RemoteFile(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        "test": RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    },
)

_BINARIZED_MNIST = RemoteSet(
    name="binarized_mnist",
    mirrors=(
        "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
        "https://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
    ),
    format="amat",
    sample_shape=(28, 28),
    images={
        "train": RemoteFile(
            "binarized_mnist_train.amat",
            78_400_000,
            "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
        ),
        "valid": RemoteFile(
            "binarized_mnist_valid.amat",
            15_680_000,
            "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
        ),
        "test": RemoteFile(
            "binarized_mnist_test.amat",
            15_680_000,
            "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
        ),
    },
)

REMOTE_SETS = {known.name: known for known in (_MNIST, _FASHION_MNIST, _BINARIZED_MNIST)}

# Sizes and checksums of the following are those that other users of the same addresses publish; the
# files themselves were not at hand. Omniglot as chardata.mat and CelebA have no lasting address:
# their loaders take files that the user has.
_OMNIGLOT = RemoteSet(
    name="omniglot",
    mirrors=("https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",),
    format="zip",
    sample_shape=(105, 105),
    images={
        "train": RemoteFile(
            "images_background.zip",
            9_464_212,
            "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
        ),
        "test": RemoteFile(
            "images_evaluation.zip",
            6_462_886,
            "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
        ),
    },
)


def _cifar(name: str, size: int, sha256: str) -> RemoteSet:
    file = RemoteFile(f"{name.replace('cifar', 'cifar-')}-binary.tar.gz", size, sha256)
    mirrors = ("https://www.cs.toronto.edu/~kriz/",)
    return RemoteSet(name, mirrors, "tar", (3, 32, 32), {"train": file, "test": file})


_CIFAR10 = _cifar(
    "cifar10", 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
)
_CIFAR100 = _cifar(
    "cifar100", 168_513_733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
)

_SVHN = RemoteSet(
    name="svhn",
    mirrors=("http://ufldl.stanford.edu/housenumbers/",),
    format="mat",
    sample_shape=(3, 32, 32),
    images={
        "train": RemoteFile(
            "train_32x32.mat",
            182_040_794,
            "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
        ),
        "test": RemoteFile(
            "test_32x32.mat",
            64_275_384,
            "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
        ),
        "extra": RemoteFile(
            "extra_32x32.mat",
            1_329_278_602,
            "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3",
        ),
    },
)

IMAGE_SETS = {known.name: known for known in (_OMNIGLOT, _CIFAR10, _CIFAR100, _SVHN)}
