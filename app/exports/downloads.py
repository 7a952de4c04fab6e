"""The whole table in pieces: from one snapshot, in constant memory, a few at a time."""

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from importlib.metadata import version
from itertools import chain, islice
from threading import BoundedSemaphore
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from anyio import CancelScope, to_thread
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.core.clock import isoformat
from app.core.db import Database
from app.core.etag import etag_of
from app.core.settings import ExportSettings
from app.exports.dataset import SCHEMA_VERSION, rows, schema, state_of
from app.exports.errors import ExportsBusyError
from app.verdicts.predictions import PARQUET

Media = Literal["application/jsonl", "application/vnd.apache.parquet"]
_LINES: Final = 500
_ROW_GROUP: Final = 5_000


class Download:
    """One download under way: a connection, a snapshot and one of the places, held until it is closed."""

    def __init__(self, session: Session, held: ExitStack, media: Media, *, current: bool | None) -> None:
        self._session, self._held, self._media, self._current = session, held, media, current
        made_by = (version("paper-verdicts"), pa.__version__, SCHEMA_VERSION, media, current)
        self.etag: Final = etag_of(f"{state_of(session)} {made_by}".encode())

    def response(self, headers: dict[str, str]) -> "DownloadResponse":
        """The document, which takes over what is held. Its first piece is made now: a lost database is still a 5xx."""
        found = rows(self._session, current=self._current)
        pieces = parquet(found) if self._media == PARQUET else json_lines(found)
        first = next(pieces, b"")
        return DownloadResponse(chain([first], pieces), self._held.pop_all(), headers, self._media)

    def close(self) -> None:
        """Give back what is still held here."""
        self._held.close()


class Downloads:
    """One for each process."""

    def __init__(self, database: Database, settings: ExportSettings) -> None:
        self._database, self._settings = database, settings
        self._places = BoundedSemaphore(settings.most_streams)

    def open(self, media: Media, *, current: bool | None) -> Download:
        """Begin a download; whoever asks closes it. Raises ExportsBusyError."""
        if not self._places.acquire(blocking=False):
            raise ExportsBusyError(self._settings.most_streams)
        held = ExitStack()
        held.callback(self._places.release)
        try:
            session = held.enter_context(self._database.unit_of_work())
            session.connection(execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
            idle = text("SELECT set_config('idle_in_transaction_session_timeout', :ms, true)")
            session.execute(idle, {"ms": str(round(self._settings.stream_idle_s * 1000))})
            return Download(session, held, media, current=current)
        except BaseException:
            held.close()
            raise


class DownloadResponse(StreamingResponse):
    """Gives back what the download holds when it ends, also where the client went away in its middle."""

    def __init__(self, pieces: Iterator[bytes], held: ExitStack, headers: dict[str, str], media: Media) -> None:
        super().__init__(pieces, 200, headers, media)
        self._held: Final = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):  # else the cancellation would leave the connection out of its pool for good
                await to_thread.run_sync(self._held.close)


def json_lines(found: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """One object a line, in ASCII: no reader can take a character of a text for the end of a line."""
    for some in _batches(found, _LINES):
        yield "".join(json.dumps(row, separators=(",", ":"), default=_moment) + "\n" for row in some).encode()


def parquet(found: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """A Parquet file, one row group at a time."""
    sink, columns = _Sink(), schema()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), columns, compression="zstd") as writer:
        for some in _batches(found, _ROW_GROUP):
            writer.write_table(pa.Table.from_pylist(some, schema=columns))
            yield sink.taken()
    yield sink.taken()


def _batches(found: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while some := list(islice(found, size)):
        yield some


class _Sink(io.RawIOBase):
    """A file that is only ever appended to, and whose new bytes are taken out of it."""

    def __init__(self) -> None:
        self._new, self._before = bytearray(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401  # a buffer of pyarrow's
        self._new += data
        return len(data)

    def tell(self) -> int:
        return self._before + len(self._new)

    def taken(self) -> bytes:
        taken = bytes(self._new)
        self._before += len(taken)
        self._new.clear()
        return taken


def _moment(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(value)
    return isoformat(value)
