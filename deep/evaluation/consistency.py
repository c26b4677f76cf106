"""Whether one latent means the same image at every β."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from deep._checks import fail
from deep.evaluation.features import FeatureExtractor, features_of
from deep.evaluation.frechet import feature_array
from deep.evaluation.passes import FloatArray, sealed

__all__ = ["Consistency", "consistency"]


@dataclass(frozen=True, eq=False)
class Consistency:
    """How well decodings of the same latents agree, for each two of B β's.

    Attributes
    ----------
    between : ndarray (B, B)
        Symmetric, 1 on the diagonal, in [−1, 1] up to the noise of finitely many latents.
    features : str
        In what images were compared: ``pixels`` or the name of an extractor.
    n_latents : int
    """

    between: FloatArray
    features: str
    n_latents: int

    @property
    def neighbours(self) -> FloatArray:
        """Of each β and the next one, (B − 1,)."""
        return sealed(np.diagonal(self.between, offset=1))

    @property
    def mean(self) -> float:
        """Average over neighbours."""
        return float(self.neighbours.mean())

    @property
    def ends(self) -> float:
        """Of the first β and the last one."""
        return float(self.between[0, -1])


def consistency(images: Tensor, extractor: FeatureExtractor | None = None) -> Consistency:
    r"""Agreement of images of the same latents at different β's, against images of different ones.

    .. math:: \kappa(\beta, \beta') = 1 - \frac
              {\operatorname{mean}_i \lVert f_i(\beta) - f_i(\beta')\rVert^2}
              {\operatorname{mean}_{i \ne j} \lVert f_i(\beta) - f_j(\beta')\rVert^2}

    with features f_i(β) of the image that latent i gives at β. It is 1 where every latent gives
    the same image at both β's, and 0 on average where it makes no difference whether the latents
    are the same: for two networks whose latents have nothing to do with one another, and where the
    decoder ignores them. Networks trained from the same initial weights share some of their latents
    and lie in between. Blur at one of the two β's keeps it below 1 but does not make it negative;
    where all images are equal it is 1.

    Parameters
    ----------
    images : Tensor (N, B, C, H, W)
        Those of :func:`deep.evaluation.samples.prior_samples`, N >= 2 latents at B >= 2 β's.
    extractor : FeatureExtractor, optional
        Pixels when omitted.

    Returns
    -------
    Consistency

    Raises
    ------
    InputError
        Fewer than two latents or β's; what the extractor refuses.

    Notes
    -----
    The concordance correlation of Lin 1989, for vectors.
    """
    if images.ndim != 5 or images.shape[0] < 2 or images.shape[1] < 2:
        fail("images", f"shape {tuple(images.shape)}", "(N, B, C, H, W) with N >= 2 and B >= 2",
             "pass images of several latents at several β's")  # fmt: skip
    columns = images.unbind(dim=1)
    if extractor is None:
        values = np.stack([feature_array(column.flatten(1)) for column in columns])
    else:
        values = np.stack([features_of(extractor, column) for column in columns])
    name = "pixels" if extractor is None else extractor.name
    return Consistency(sealed(_concordance(values)), name, len(images))


def _concordance(values: FloatArray) -> FloatArray:  # shape: (B, N, m) -> (B, B)
    values = values - values.mean(axis=(0, 1))
    n = values.shape[1]
    sums = values.sum(axis=1)
    squares = (values**2).sum(axis=(1, 2))
    products = np.einsum("bim,cim->bc", values, values)
    same = squares[:, None] + squares - 2 * products
    every = n * (squares[:, None] + squares) - 2 * sums @ sums.T
    different = (every - same) / (n - 1)
    same = np.maximum(same, 0.0)  # of two columns alike
    np.fill_diagonal(same, 0.0)
    vary = different > np.finfo(np.float64).eps * n * squares.max(initial=0.0)
    ratio = np.divide(same, different, out=np.zeros_like(same), where=vary)
    return np.asarray(1 - ratio)
