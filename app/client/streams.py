"""The predictions behind a verdict, read as they arrive."""

from collections.abc import Callable, Iterable, Iterator

import httpx

from app.client.calls import Id, predictions_request
from app.client.effects import Emit, Open, Program, Read, Request
from app.client.errors import UnexpectedAnswerError, UnreachableError
from app.client.models import Prediction
from app.client.programs import Context, Items, persistently, refuse

Pieces = Callable[[bytes | None], Iterable[object]]
"""The items in the next bytes; None is the end."""


def prediction_bytes(context: Context, verdict_id: Id, media: str = "parquet") -> Items[bytes]:
    """Every prediction behind a verdict as the bytes of a file: `jsonl`, `csv` or `parquet`."""
    return Items(_stream(context, predictions_request(verdict_id, media), lambda piece: [piece] if piece else []))


def predictions(context: Context, verdict_id: Id) -> Items[Prediction]:
    """Every prediction behind a verdict, one after another as they arrive."""
    return Items(_stream(context, predictions_request(verdict_id, "jsonl"), _Lines()))


class _Lines:
    """JSON Lines that come in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, piece: bytes | None) -> Iterator[Prediction]:
        *lines, self._rest = (self._rest + piece).split(b"\n") if piece is not None else (self._rest, b"")
        for line in filter(None, lines):
            try:
                yield Prediction.model_validate_json(line)
            except ValueError as error:
                raise UnexpectedAnswerError("a line of the predictions is none") from error


def _stream(context: Context, request: Request, pieces: Pieces) -> Program[None]:
    refuse(request, (yield from persistently(context, Open(request))))
    while True:
        try:
            piece: bytes | None = yield Read()
        except httpx.RequestError as error:
            message = f"{context.server} broke off in the middle of {request.path}: {error or type(error).__name__}"
            raise UnreachableError(message) from error
        for item in pieces(piece):
            yield Emit(item)
        if piece is None:
            return
