"""One page about one data set: the frontier to move along, reconstructions, claims, downloads.

The page is one file of HTML. It loads nothing, works from a disk or a mail, and computes every
number it shows from the eigenvalues, in double precision, by the formulas of the package. Bokeh
draws the pictures (``pip install linvae[report]``).
"""

from .build import Report, build_report
from .images import guess_image_shape
from .learned import Learned, LearnedPoints, load_examination, load_learned

__all__ = [
    "Learned",
    "LearnedPoints",
    "Report",
    "build_report",
    "guess_image_shape",
    "load_examination",
    "load_learned",
]
