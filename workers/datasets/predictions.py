"""Predictions that a paper's authors released, as their file states them: an id, a class, maybe logits, per row."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.protocol.driver import FolderSource, ReleasedPredictions
from app.protocol.errors import DriverError
from workers.datasets.cells import class_index, identity, index_by_name
from workers.datasets.files import locate, read_bounded
from workers.datasets.tables import read_columns

Value = TypeVar("Value", str, int)


@dataclass(frozen=True, slots=True)
class Predictions:
    """M rows in file order; `predicted` and the columns of `logits` (float32 [M, C]) are in the file's label order."""

    ids: Sequence[str]
    predicted: NDArray[np.int16]
    logits: NDArray[np.float32] | None
    file_sha256: str


def load_predictions(spec: ReleasedPredictions, *, root: Path, cache: Path) -> Predictions:
    """Read the rows that the driver's filters keep.

    Raises DriverError: `predictions_missing`, `hub_unreachable` (retryable), `predictions_too_large`,
    `predictions_digest_mismatch`, `predictions_invalid` (corrupt, a column missing, nulls, classes out of range).
    """
    shown = spec.source.path if isinstance(spec.source, FolderSource) else f"{spec.source.hub}/{spec.file}"
    path = locate(spec.source, spec.file, root=root, cache=cache, what="predictions")
    contents = read_bounded(path, shown=shown, what="predictions")
    digest = sha256(contents).hexdigest()
    if digest != spec.sha256:
        raise DriverError(
            code="predictions_digest_mismatch",
            message=f"{shown} is not the file the driver pins: found {digest}, pinned {spec.sha256}.",
        )
    wanted = [spec.id_column, spec.prediction_column, *filter(None, [spec.logits_column])]
    columns = read_columns(contents, shown, wanted, filters=spec.filters, what="predictions")
    by_name = index_by_name(spec.labels)
    predicted = [class_index(cell, by_name) for cell in columns[spec.prediction_column]]
    logits = _logits(columns[spec.logits_column], len(spec.labels)) if spec.logits_column else None
    return Predictions(
        ids=_checked([identity(cell) for cell in columns[spec.id_column]], spec.id_column),
        predicted=np.array(_checked(predicted, spec.prediction_column), dtype=np.int16),
        logits=logits,
        file_sha256=digest,
    )


def _checked(values: Sequence[Value | None], column: str) -> list[Value]:
    present = [value for value in values if value is not None]
    if len(present) < len(values):
        raise _invalid(message=f"row {values.index(None)}: nothing usable in column {column}")
    return present


def _logits(cells: Sequence[object], classes: int) -> NDArray[np.float32]:
    try:
        logits = np.array(cells, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise _invalid(message="the logits are not lists of numbers of one length") from error
    if cells and logits.shape != (len(cells), classes):
        raise _invalid(message=f"the logits have the shape {logits.shape}, not {(len(cells), classes)}")
    return logits.reshape(len(cells), classes)


def _invalid(*, message: str) -> DriverError:
    return DriverError(code="predictions_invalid", message=f"The released predictions cannot be used: {message}.")
