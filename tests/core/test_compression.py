"""Answers that are compressed while they are made: few at once, because each takes memory for as long as it lasts."""

import asyncio
import gzip

from starlette.types import Message, Receive, Scope, Send

from app.core.compression import MOST_STREAMS, Compression

START: Message = {"type": "http.response.start", "status": 200}
PIECE = b"a line of many\n" * 100


def test_so_many_at_once_and_those_beyond_as_they_are() -> None:
    asyncio.run(_ask())


async def _ask() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({**START, "headers": [(b"content-type", b"text/csv")]})
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": PIECE})

    compression = Compression(app)

    async def ask() -> tuple[bytes | None, bytes]:
        answer: list[Message] = []

        async def send(message: Message) -> None:
            answer.append(dict(message))

        async def receive() -> Message:
            return {"type": "http.request"}

        scope = {"type": "http", "headers": [(b"accept-encoding", b"gzip")]}
        await compression(scope, receive, send)
        coding = dict(answer[0]["headers"]).get(b"content-encoding")
        return coding, b"".join(message.get("body", b"") for message in answer[1:])

    first = [asyncio.create_task(ask()) for _ in range(MOST_STREAMS)]
    await asyncio.sleep(0)
    beyond = asyncio.create_task(ask())
    await asyncio.sleep(0)
    go_on.set()
    for coding, body in await asyncio.gather(*first):
        assert (coding, gzip.decompress(body)) == (b"gzip", 2 * PIECE)
    assert await beyond == (None, 2 * PIECE)
    del first, beyond
    assert (await ask())[0] == b"gzip"
