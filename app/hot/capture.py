"""One answer of the application inside, as bytes."""

from starlette.types import ASGIApp, Message, Scope

from app.hot.cache import Answer


async def capture(app: ASGIApp, scope: Scope, coding: str) -> Answer:
    """What the application answers to a plain GET of this address with this coding of the body, whoever asks.

    Raises what the application raises before it has answered.
    """
    host = [pair for pair in scope["headers"] if pair[0] == b"host"]
    inner = {
        **scope,
        "method": "GET",
        "headers": [*host, (b"accept-encoding", (coding or "identity").encode())],
    }
    return await captured(app, inner)


async def captured(app: ASGIApp, scope: Scope) -> Answer:
    """What the application answers to this very request, whose body is empty. Raises as `capture` does."""
    inner = {**scope, "state": dict(scope.get("state", {}))}
    start: Message = {}
    body = bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    try:
        await app(inner, receive, send)
    except Exception:
        if not start:  # else the error has been logged and answered, and is raised for the server to see
            raise
    return Answer(start["status"], list(start["headers"]), bytes(body))
