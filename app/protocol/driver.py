"""The driver specification: the recipe that re-measures one claim, as its TOML file states it."""

from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from app.protocol.axes import MetricAxis, ModelAxis, ProtocolAxes
from app.protocol.slices import SliceKind, SliceSpec
from app.protocol.slugs import SLUG_LENGTH, SLUG_PATTERN
from app.protocol.units import Unit
from app.statistics.metrics import MOST_LABELS, MetricName

Slug = Annotated[str, StringConstraints(pattern=f"^{SLUG_PATTERN}$", max_length=SLUG_LENGTH)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
SemVer = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$", max_length=40)]
HubId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$", max_length=200)]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
RelativePath = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DType(StrEnum):
    """The arithmetic the predictions are made in. Only float32 is the published argmax (see docs/decisions)."""

    float32 = "float32"
    tf32 = "tf32"
    float16 = "float16"
    bfloat16 = "bfloat16"


class HubSource(_Spec):
    """A repository on the Hugging Face hub at a pinned commit."""

    hub: HubId
    revision: Revision


class FolderSource(_Spec):
    """A folder: relative to the catalogue, or absolute."""

    path: RelativePath


class PackageSource(_Spec):
    """A folder inside an installed Python package (how the shipped base weights travel)."""

    package: Name
    path: RelativePath


Source = HubSource | FolderSource | PackageSource


class _Checkpoint(_Spec):
    source: Source
    weights_sha256: dict[str, Sha256] = {}
    """Expected digest of each weight file by name, e.g. {"model.safetensors": "..."}; a mismatch fails the run."""
    tokenizer_sha256: Sha256 | None = None


class ClassifierModel(_Checkpoint):
    """A sequence-classification checkpoint: config.json, tokenizer files and safetensors weights."""

    kind: Literal["sequence-classification"]
    label_names: dict[str, str] = {}
    """Checkpoint label name -> data set label name, where they differ (needed for LABEL_0 names)."""
    max_length: Annotated[int, Field(ge=8, le=8192)] = 128


class AdapterModel(_Checkpoint):
    """A PEFT adapter (`source`) on a base checkpoint (`base`). The adapter's config.json states the labels."""

    kind: Literal["peft-adapter"]
    base: Source
    base_weights_sha256: dict[str, Sha256] = {}
    label_names: dict[str, str] = {}
    max_length: Annotated[int, Field(ge=8, le=8192)] = 128


class ReleasedPredictions(_Spec):
    """Predictions the authors released, re-scored against the pinned gold labels. No model runs."""

    kind: Literal["predictions"]
    source: FolderSource | HubSource
    file: RelativePath | None = None
    """The file inside the hub repository; a FolderSource names the file itself."""
    sha256: Sha256
    id_column: Name = "idx"
    prediction_column: Name = "pred"
    logits_column: Name | None = None
    filters: dict[str, str | int] = {}
    """Rows to keep: column -> value, e.g. {"set": "matched", "seed": 1}."""
    labels: tuple[Name, ...]
    """The label name of each class index in the file."""


ModelSpec = Annotated[ClassifierModel | AdapterModel | ReleasedPredictions, Field(discriminator="kind")]


class DataSpec(_Spec):
    """A pinned split: a file (Parquet, JSON Lines or TSV by its ending) in a folder or on the hub."""

    source: FolderSource | HubSource
    """A FolderSource names the file itself; a HubSource needs `file`."""
    file: RelativePath | None = None
    name: Name
    """What readers know it as, e.g. "MNLI"."""
    split: Name
    sha256: Sha256 | None = None
    """Digest of the file's bytes."""
    fingerprint: Sha256
    """Digest of the content (ids, texts, labels): the same whatever file format carries it."""
    size: Annotated[int, Field(ge=1)]
    id_column: Name | None = None
    """Where there is none, the row number is the id."""
    text_column: Name = "premise"
    text_pair_column: Annotated[Name | None, BeforeValidator(lambda name: name or None)] = "hypothesis"
    """None for tasks of a single text; a TOML file, which knows no null, says `""`."""
    label_column: Name = "label"
    group_column: Name | None = None
    """Results are also given per group (MNLI's genre) where the file has such a column."""
    labels: Annotated[tuple[Name, ...], Field(min_length=2)]
    """The label name of each class index in the file."""
    unlabelled: Name | int | None = None
    """What stands in the label column of examples without a gold label ("-" in SNLI's files, -1 in its Parquet copy):
    they are no part of the split. `size` counts the others, and rows are counted without them."""

    @model_validator(mode="after")
    def _hub_needs_file(self) -> Self:
        if isinstance(self.source, HubSource) and self.file is None:
            msg = "a data set on the hub needs `file`, the path of one file in its repository"
            raise ValueError(msg)
        return self


class Estimand(StrEnum):
    """What the number is about: the N items of the split, or new items like them."""

    finite_population = "finite_population"
    superpopulation = "superpopulation"


class InferenceSpec(_Spec):
    """How predictions are made."""

    dtype: DType = DType.float32
    batch_tokens: Annotated[int, Field(ge=64, le=1_048_576)] | None = None
    """Token budget of a batch; None lets the runtime choose for the device."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


def default_margin(axis: ModelAxis) -> float:
    """Delta by default: 1 point where the paper's own weights (or their outputs) are judged, else 2 points."""
    own = {ModelAxis.exact_weights, ModelAxis.converted, ModelAxis.released_predictions}
    return 0.01 if axis in own else 0.02


class DecisionSpec(_Spec):
    """Fixed before the run, stored with the verdict."""

    margin: Annotated[float, Field(gt=0, lt=0.5)]
    """Delta, a fraction: 0.01 is one point. Half of the claim's last printed digit is added to it."""
    estimand: Estimand = Estimand.finite_population
    early_stopping: bool = False
    """Go through the slice in random order and stop once the confidence sequence decides (docs/evaluator.md)."""
    bootstrap_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of the intervals of metrics without a closed form."""
    rule_version: Literal["1"] = "1"


class ReportedClaim(_Spec):
    """The cell of the paper that this driver re-measures: enough to find the claim, or to register it."""

    section: Name
    row: Name
    column: Name
    reported_value: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?$", max_length=40)]
    """As printed, trailing zeros kept: "91.8" has one decimal, "91.80" two."""
    unit: Unit
    metric: Name
    quoted_text: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    pdf_page: Annotated[int, Field(ge=1, le=100_000)] | None = None
    notes: Annotated[str, StringConstraints(max_length=4000)] | None = None
    n_items: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None


class DriverSpec(_Spec):
    """One driver. Everything in it is data; nothing in it is code."""

    slug: Slug
    version: SemVer
    description: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    paper: Annotated[str, StringConstraints(max_length=100)]
    """arXiv id, or `draft:<slug>`."""
    kind: Literal["PRE", "POST"] = "POST"
    """The kind that `verdicts up` asks for; whoever asks by themselves says it, or means POST."""
    claim: ReportedClaim
    model: ModelSpec
    data: DataSpec
    slice: SliceSpec = SliceSpec()
    metric: MetricName = MetricName.accuracy
    positive_label: Name | None = None
    """The label whose F1 is meant, for the metric `f1` alone."""
    inference: InferenceSpec = InferenceSpec()
    protocol: ProtocolAxes
    decision: DecisionSpec

    @property
    def agent_version(self) -> str:
        """`v<semver>-<driver slug>`: what issues the verdict."""
        return f"v{self.version}-{self.slug}"

    @property
    def positive_index(self) -> int | None:
        """The index of the positive label, for the metric `f1` alone."""
        return None if self.positive_label is None else self.data.labels.index(self.positive_label)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the specification as canonical JSON."""
        return sha256(self.model_dump_json(exclude_none=True).encode()).hexdigest()

    @model_validator(mode="after")
    def _protocol_tells_the_truth(self) -> Self:
        released = isinstance(self.model, ReleasedPredictions)
        if released != (self.protocol.model is ModelAxis.released_predictions):
            msg = "protocol.model is `released_predictions` if and only if model.kind is `predictions`"
            raise ValueError(msg)
        if self.slice.kind is not SliceKind.full and self.protocol.data == "full_split":
            msg = "protocol.data cannot be `full_split` while a slice is measured"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _metric_can_be_measured(self) -> Self:
        if (self.metric is MetricName.f1) != (self.positive_label is not None):
            msg = "positive_label is needed for the metric `f1`, and means nothing for any other"
            raise ValueError(msg)
        if self.positive_label is not None and self.positive_label not in self.data.labels:
            msg = f"positive_label is one of data.labels: {', '.join(self.data.labels)}"
            raise ValueError(msg)
        if self.metric is not MetricName.accuracy and self.slice.kind is SliceKind.balanced:
            msg = f"a balanced slice changes the mix of labels, on which {self.metric} depends: draw a simple one"
            raise ValueError(msg)
        if self.metric is not MetricName.accuracy and len(self.data.labels) > MOST_LABELS:
            msg = f"{self.metric} is decided with {MOST_LABELS} labels at most, not {len(self.data.labels)}"
            raise ValueError(msg)
        if self.protocol.metric is MetricAxis.same and self.claim.metric != self.metric:
            msg = f"protocol.metric cannot be `same` while the claim is about {self.claim.metric}, not {self.metric}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _stops_early_where_it_can(self) -> Self:
        if not self.decision.early_stopping:
            return self
        rules = {
            "metric `accuracy`": self.metric is MetricName.accuracy,
            "estimand `finite_population`": self.decision.estimand is Estimand.finite_population,
            "a slice that is not balanced": self.slice.kind is not SliceKind.balanced,
            "a protocol.data other than `full_split`": self.protocol.data != "full_split",
        }
        missing = [rule for rule, kept in rules.items() if not kept]
        if missing:
            msg = f"early stopping needs {', '.join(missing)}"
            raise ValueError(msg)
        return self
