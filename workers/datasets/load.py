"""Load the split a driver names, and refuse it unless it is, row for row, the one that was pinned."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.protocol.driver import DataSpec, FolderSource
from app.protocol.errors import DriverError
from workers.datasets.cells import class_index, identity, index_by_name
from workers.datasets.files import locate, read_bounded
from workers.datasets.fingerprints import content_fingerprint
from workers.datasets.split import Split
from workers.datasets.tables import Columns, read_columns


def load_split(spec: DataSpec, *, root: Path, cache: Path) -> Split:
    """Read the split, in file order, from a folder (relative to `root`, the catalogue) or from the hub (via `cache`).

    Raises DriverError: `dataset_missing`, `hub_unreachable` (retryable), `dataset_too_large`, `dataset_invalid`
    (corrupt, a column missing, nulls, labels out of range, ids not unique, not the stated size) and
    `dataset_fingerprint_mismatch` (the file's digest, or the content's, is not the pinned one).
    """
    shown = spec.source.path if isinstance(spec.source, FolderSource) else f"{spec.source.hub}/{spec.file}"
    path = locate(spec.source, spec.file, root=root, cache=cache, what="dataset")
    contents = read_bounded(path, shown=shown, what="dataset")
    digest = sha256(contents).hexdigest()
    if spec.sha256 is not None:
        _require_digest("The file", shown, digest, spec.sha256)
    split = parse_split(spec, contents, shown, digest)
    _require_digest("The content", shown, split.fingerprint, spec.fingerprint)
    return split


def parse_split(spec: DataSpec, contents: bytes, name: str, file_sha256: str) -> Split:
    """A split from a file's bytes, with everything checked except that its fingerprint is the pinned one."""
    optional = (spec.id_column, spec.text_pair_column, spec.group_column)
    wanted = [spec.text_column, spec.label_column, *(column for column in optional if column is not None)]
    columns = read_columns(contents, name, wanted, filters={}, what="dataset")
    if spec.unlabelled is not None:
        columns = _labelled(columns, spec.label_column, str(spec.unlabelled))
    count = len(columns[spec.label_column])
    if count != spec.size:
        raise _invalid(message=f"{name} has {count} examples; the driver says {spec.size}")
    ids = _names(columns[spec.id_column], spec.id_column) if spec.id_column else [str(row) for row in range(count)]
    if len(set(ids)) != count:
        raise _invalid(message=f"{name}: the ids in column {spec.id_column} are not unique")
    texts = _texts(columns[spec.text_column], spec.text_column)
    pairs = _texts(columns[spec.text_pair_column], spec.text_pair_column) if spec.text_pair_column else None
    groups = _names(columns[spec.group_column], spec.group_column) if spec.group_column else None
    labels = _labels(columns[spec.label_column], spec.labels)
    try:
        fingerprint = content_fingerprint(ids, texts, pairs, labels, spec.labels)
    except UnicodeEncodeError as error:
        raise _invalid(message=f"{name} holds text that is not valid Unicode") from error
    return Split(ids, texts, pairs, labels, spec.labels, groups, file_sha256, fingerprint)


def _labelled(columns: Columns, label_column: str, unlabelled: str) -> Columns:
    """The rows that have a gold label."""
    kept = [str(cell) != unlabelled for cell in columns[label_column]]
    return {column: list(compress(cells, kept)) for column, cells in columns.items()}


def _texts(cells: Sequence[object], column: str) -> list[str]:
    for row, cell in enumerate(cells):
        if not isinstance(cell, str):
            raise _invalid(message=f"column {column}, row {row}: {_kind(cell)} where a text is needed")
    return [str(cell) for cell in cells]


def _names(cells: Sequence[object], column: str) -> list[str]:
    names = [identity(cell) for cell in cells]
    for row, name in enumerate(names):
        if name is None:
            kind = _kind(cells[row])
            raise _invalid(message=f"column {column}, row {row}: {kind} where a text or a whole number is needed")
    return [str(name) for name in names]


def _labels(cells: Sequence[object], label_names: Sequence[str]) -> NDArray[np.int16]:
    by_name = index_by_name(label_names)
    if len(by_name) != len(label_names):
        raise _invalid(message="the driver names two labels of the data set alike")
    indices = [class_index(cell, by_name) for cell in cells]
    for row, index in enumerate(indices):
        if index is None:
            known = ", ".join(label_names)
            raise _invalid(message=f"row {row}: the label {str(cells[row])[:40]!r} is not one of {known}")
    return np.array(indices, dtype=np.int16)


def _kind(cell: object) -> str:
    return "a null" if cell is None else type(cell).__name__


def _require_digest(part: str, name: str, found: str, pinned: str) -> None:
    if found != pinned:
        raise DriverError(
            code="dataset_fingerprint_mismatch",
            message=f"{part} of {name} is not what the driver pins: found {found}, pinned {pinned}.",
        )


def _invalid(*, message: str) -> DriverError:
    return DriverError(code="dataset_invalid", message=f"{message}.")
