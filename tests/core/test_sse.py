"""Reading text/event-stream, against the examples of the HTML standard, however it is cut into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.sse import LONGEST, Message, SseParser

EXAMPLES: list[tuple[str, list[Message]]] = [
    ("data: YHOO\ndata: +2\ndata: 10\n\n", [Message("message", "YHOO\n+2\n10", "")]),
    (
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [
            Message("message", "first event", "1"),
            Message("message", "second event", ""),
            Message("message", " third event", ""),
        ],
    ),
    ("data\n\ndata\ndata\n\ndata:", [Message("message", "", ""), Message("message", "\n", "")]),
    ("data:test\n\ndata: test\n\n", [Message("message", "test", ""), Message("message", "test", "")]),
    (
        "event: add\ndata: 73857293\n\nevent: remove\n\ndata: x\n\n",
        [Message("add", "73857293", ""), Message("message", "x", "")],
    ),
    ("\ufeffretry: 2000\nid: 7\n\n:\n\nid: a\0b\nunknown: y\nretry: x\ndata: é\n\n", [Message("message", "é", "7")]),
]


@pytest.mark.parametrize(("text", "messages"), EXAMPLES)
@given(data=st.data())
def test_messages_are_the_same_in_any_pieces_and_with_any_line_ends(
    text: str, messages: list[Message], data: st.DataObject
) -> None:
    raw = text.replace("\n", data.draw(st.sampled_from(["\n", "\r", "\r\n"]))).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)))) | {0, len(raw)})
    parser = SseParser()
    found = [message for start, end in pairwise(cuts) for message in parser.feed(raw[start:end])]
    found += list(parser.feed(b"x"))  # a CR at the end may be half of a line's end; now it is known
    assert found == messages


def test_what_a_client_sends_when_it_comes_again() -> None:
    parser = SseParser(last_event_id="5")
    assert list(parser.feed(b"data: x\n\n")) == [Message("message", "x", "5")]
    assert not list(parser.feed(b"retry: 2000\nid: 41\n\nid: 42\ndata: never ended\n"))
    assert (parser.last_event_id, parser.retry_ms) == ("41", 2000)


def test_a_message_that_never_ends_is_left_off() -> None:
    parser, line = SseParser(), b"data: " + b"x" * 2**20 + b"\n"
    for _ in range(LONGEST // 2**20 - 1):
        list(parser.feed(line))
    with pytest.raises(ValueError, match="longer than"):
        list(parser.feed(2 * line))
