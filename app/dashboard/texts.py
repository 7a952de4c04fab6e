"""The texts of examples, where the data file that was measured lies in the service's own catalogue.

The database keeps predictions and no texts. A file is used only where its digest is the one the evidence names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from app.protocol.driver import DataSpec, FolderSource
from app.verdicts.schemas import EvidenceRead

_LARGEST: Final = 64 * 1024 * 1024
_SPEC: Final = TypeAdapter(DataSpec)
_KEPT: Final = 4
"""Files in memory at once: a split of MNLI is about two megabytes."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a split, by row."""

    table: pa.Table
    spec: DataSpec

    @property
    def columns(self) -> list[str]:
        """The columns with texts: one, or two for pairs."""
        return [name for name in (self.spec.text_column, self.spec.text_pair_column) if name is not None]

    def of(self, row: int) -> list[tuple[str, str]]:
        """The texts of a row, by the names of their columns."""
        if not 0 <= row < self.table.num_rows:
            return []
        return [(name, str(self.table[name][row].as_py())) for name in self.columns]

    def rows_with(self, words: str) -> list[int]:
        """The rows whose texts hold these words, whatever their case."""
        found = pa.chunked_array([pa.array([False] * self.table.num_rows)])
        for name in self.columns:
            found = pc.or_(found, pc.match_substring(self.table[name], words, ignore_case=True))
        return cast("list[int]", pc.indices_nonzero(found).to_pylist())

    @property
    def groups(self) -> Sequence[str] | None:
        """The group of each row (MNLI's genre, say), where the file has such a column."""
        name = self.spec.group_column
        return None if name is None else [str(value) for value in self.table[name].to_pylist()]


def texts_of(evidence: EvidenceRead, catalogue: Path) -> Texts | None:
    """The texts that the evidence's predictions are about; None where they are not here."""
    stated: dict[str, Any] | None = (evidence.driver or {}).get("data")
    digest = (evidence.facts.get("data") or {}).get("file_sha256")
    if stated is None or not isinstance(digest, str):
        return None
    try:
        spec = _SPEC.validate_python(stated)
    except ValidationError:  # of another version of the service
        return None
    if not isinstance(spec.source, FolderSource) or Path(spec.source.path).is_absolute():
        return None
    root = catalogue.resolve()
    path = (root / spec.source.path).resolve()
    if not path.is_relative_to(root) or path.suffix != ".parquet":
        return None
    label = None if spec.unlabelled is None else spec.label_column
    columns = [spec.text_column, spec.text_pair_column, spec.group_column, label]
    table = _read(path, digest, tuple(name for name in columns if name is not None))
    if table is not None and label is not None:
        # Rows are counted without them.
        table = table.filter(pc.not_equal(pc.cast(table[label], pa.string()), str(spec.unlabelled)))
    return None if table is None else Texts(table, spec)


@lru_cache(maxsize=_KEPT)
def _read(path: Path, digest: str, columns: tuple[str, ...]) -> pa.Table | None:
    """These columns of the file; None where it is not the file that was measured."""
    try:
        if path.stat().st_size > _LARGEST:
            return None
        contents = path.read_bytes()
    except OSError:
        return None
    if sha256(contents).hexdigest() != digest:
        return None
    try:
        # Not `read_table`: that loads pandas, where it is installed, and takes half a second over its first file.
        table = pq.ParquetFile(BytesIO(contents)).read(columns=list(columns))
    except (pa.ArrowException, OSError):
        return None
    return table if set(columns) <= set(table.column_names) else None
