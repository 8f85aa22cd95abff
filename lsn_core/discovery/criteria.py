"""What a weight's score is: the pruning criteria. Pure functions on one matrix; the highest scores stay.

A new criterion is one function here and its line in `CRITERIA`. What a function needs beside the weights
(`Evidence`) is gathered by the bench, which runs the calibration batches. PyTorch is named for the types
alone: settings are checked against this table before anything heavy is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

START = "start"
GRADIENT = "gradient"
INPUT_NORM = "input norm"


@dataclass(frozen=True)
class Evidence:
    """What is known of one prunable matrix of shape (out, in) when it is to lose weights.

    `weight`: the trained weights, (out, in), zero where removed. `start`: the same of θ0, without a mask.
    `gradient`: ∂L/∂w, (out, in), the mean over the calibration batches of each one's mean loss.
    `input_norm`: (in,), the L2 norm of each input feature over every piece that the calibration batches
    show to the matrix, padding apart. All but the first are there for a criterion that needs them only.
    """

    weight: torch.Tensor
    start: torch.Tensor | None = None
    gradient: torch.Tensor | None = None
    input_norm: torch.Tensor | None = None


@dataclass(frozen=True)
class Criterion:
    """A score, and what it needs beside the weights: `START`, `GRADIENT`, `INPUT_NORM` or nothing."""

    score: Callable[[Evidence], torch.Tensor]
    needs: str | None = None

    @property
    def calibrated(self) -> bool:
        """Whether what it needs comes from calibration batches."""
        return self.needs in (GRADIENT, INPUT_NORM)


def magnitude(evidence: Evidence) -> torch.Tensor:
    """Return |w| (Han et al. 2015; Foroutan et al. 2022, section 3)."""
    return evidence.weight.abs()


def magnitude_change(evidence: Evidence) -> torch.Tensor:
    """Return |w − θ0|: how far training moved the weight ("movement" of Zhou et al. 2019, section 3)."""
    assert evidence.start is not None
    return (evidence.weight - evidence.start).abs()


def taylor(evidence: Evidence) -> torch.Tensor:
    """Return |w · ∂L/∂w|, the first-order change of the loss when the weight is zeroed.

    Molchanov et al. (2019), section 3, first order, for single weights. They average its square over
    batches; here the gradient is averaged first, so that what cancels between batches does not count.
    """
    assert evidence.gradient is not None
    return (evidence.weight * evidence.gradient).abs()


def wanda(evidence: Evidence) -> torch.Tensor:
    """Return |w| · ‖x‖ of the weight's input feature (Sun et al. 2024, equation 1).

    They compare weights within one output row; here the recipe's scope says which weights are compared.
    """
    assert evidence.input_norm is not None
    return evidence.weight.abs() * evidence.input_norm


CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        "magnitude": Criterion(magnitude),
        "magnitude-change": Criterion(magnitude_change, START),
        "taylor": Criterion(taylor, GRADIENT),
        "wanda": Criterion(wanda, INPUT_NORM),
    }
)
