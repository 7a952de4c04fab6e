"""Read text/event-stream as the HTML standard has it; needs nothing but Python, so that a client may use it, too."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 16 * 1024 * 1024
"""Bytes of one message: what is longer is no stream of ours."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event that was told."""

    event: str
    data: str
    id: str
    """The last id that was told, with this message or before."""


class SseParser:
    """Takes the stream in pieces as they come; gives the messages that they complete.

    `last_event_id` is what to send when connecting again, `retry_ms` how long to wait before, where the stream said so.
    """

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self._rest = b""
        self._event, self._id = "", last_event_id
        self._data: list[str] = []
        self._size = 0
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[Message]:
        """The messages that end in this piece. Raises ValueError for a message that never ends."""
        text = self._rest + piece
        # A line may end in CR, LF or both; a CR at the end of a piece may be half of it.
        held = text.endswith(b"\r")
        lines = (text[:-1] if held else text).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + (b"\r" if held else b"")
        for line in lines:
            self._size += len(line)
            message = self._take(line.decode("utf-8", "replace"))
            if message is not None:
                yield message
            if not line:
                self._size = 0
            self._refuse_more_than(LONGEST)
        self._refuse_more_than(LONGEST)

    def _refuse_more_than(self, most: int) -> None:
        if self._size + len(self._rest) > most:
            msg = f"a message of the event stream is longer than {most} bytes"
            raise ValueError(msg)

    def _take(self, line: str) -> Message | None:
        if not self._begun:
            self._begun, line = True, line.removeprefix("\ufeff")
        if not line:
            return self._finish()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_ms = int(value)
        return None

    def _finish(self) -> Message | None:
        self.last_event_id = self._id
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return Message(event, "\n".join(data), self._id) if data else None
