"""The protocol axes: in which ways a measurement differs from the paper's own, and what that costs in confidence."""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict


class ModelAxis(StrEnum):
    """Whose weights gave the predictions."""

    exact_weights = "exact_weights"
    converted = "converted"
    retrained = "retrained"
    released_predictions = "released_predictions"
    proxy = "proxy"


def is_recount(model: str | None) -> bool:
    """Whether, by this axis, the authors' own predictions were scored again and no model was run."""
    return model == ModelAxis.released_predictions


class DataAxis(StrEnum):
    """Which examples were measured."""

    full_split = "full_split"
    probability_slice = "probability_slice"
    other_split = "other_split"
    other_dataset = "other_dataset"


class MetricAxis(StrEnum):
    """Whether the metric is the paper's."""

    same = "same"
    variant = "variant"


class InferenceAxis(StrEnum):
    """Whether preprocessing and inference are the paper's."""

    same = "same"
    differs = "differs"
    unknown = "unknown"


class ProtocolMatch(StrEnum):
    """The worst of the axes."""

    exact = "exact"
    proxy = "proxy"


CONFIDENCE_CEILING: Final = {ProtocolMatch.exact: 1.0, ProtocolMatch.proxy: 0.85}
"""What the posterior probability is multiplied with, by protocol match."""


class ProtocolAxes(BaseModel):
    """The four axes of one measurement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelAxis
    data: DataAxis
    metric: MetricAxis
    inference: InferenceAxis

    @property
    def match(self) -> ProtocolMatch:
        """`exact` only for the paper's own weights on its whole split with its metric and inference."""
        exact = (ModelAxis.exact_weights, DataAxis.full_split, MetricAxis.same, InferenceAxis.same)
        mine = (self.model, self.data, self.metric, self.inference)
        return ProtocolMatch.exact if mine == exact else ProtocolMatch.proxy
