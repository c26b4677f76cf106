"""Examination of other people's losses, models, trainers and metrics against exact answers."""

from __future__ import annotations

from .examination import Examination, Finding
from .loss import examine_loss
from .metrics import examine_metric
from .model import ReadModel, read_model
from .training import examine_model, examine_trainer

__all__ = [
    "Examination",
    "Finding",
    "ReadModel",
    "examine_loss",
    "examine_metric",
    "examine_model",
    "examine_trainer",
    "read_model",
]
