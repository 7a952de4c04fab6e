"""The client, waiting and awaiting: the same verbs, each declared once."""

import inspect
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from importlib.metadata import version
from typing import Any, ClassVar, Concatenate, Final, Generic, ParamSpec, Protocol, Self, TypeVar, overload

import httpx

from app.client import calls, following, patience, programs, streams
from app.client.cache import CACHE_BYTES, EtagCache
from app.client.effects import Program
from app.client.programs import Context, Items, lists, reads
from app.client.retries import Retries
from app.client.shells import AsyncShell, SyncShell

P = ParamSpec("P")
Result = TypeVar("Result")
Item = TypeVar("Item")
Made = TypeVar("Made")
Shell = TypeVar("Shell")
Transport = TypeVar("Transport")
TIMEOUT_S: Final = 30.0
_KEY: Final = re.compile(r"[\x21-\x7e]+")


class _Waits(Protocol):
    @property
    def shell(self) -> SyncShell: ...


class _Awaits(Protocol):
    @property
    def shell(self) -> AsyncShell: ...


class _Declared(Generic[P, Made]):
    """A method of both clients, made of the program that it carries out."""

    how: ClassVar[str]
    """The shell's method that carries it out."""

    def __init__(self, program: Callable[Concatenate[Context, P], Made]) -> None:
        self._program = program
        self.__doc__ = program.__doc__

    def of(self, client: Any) -> Any:  # noqa: ANN401  # as the overloads of __get__ say
        """The method of this client; itself for none."""
        if client is None:
            return self

        def method(*args: P.args, **options: P.kwargs) -> Any:  # noqa: ANN401  # as above
            return getattr(client.shell, self.how)(self._program(client.context, *args, **options))

        return _described(method, self._program)


class Verb(_Declared[P, Program[Result]], Generic[P, Result]):
    """A method with a result: `client.paper(…)`, or `await client.paper(…)` of an AsyncClient."""

    how = "run"

    @overload
    def __get__(self, client: _Waits, owner: type) -> Callable[P, Result]: ...
    @overload
    def __get__(self, client: _Awaits, owner: type) -> Callable[P, Coroutine[Any, Any, Result]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    def __get__(self, client: Any, owner: type) -> Any:
        """The method of this client."""
        return self.of(client)


class Listing(_Declared[P, Items[Item]], Generic[P, Item]):
    """A method that gives items one after another: `for` over it, or `async for` of an AsyncClient."""

    how = "iterate"

    @overload
    def __get__(self, client: _Waits, owner: type) -> Callable[P, Iterator[Item]]: ...
    @overload
    def __get__(self, client: _Awaits, owner: type) -> Callable[P, AsyncIterator[Item]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    def __get__(self, client: Any, owner: type) -> Any:
        """The method of this client."""
        return self.of(client)


def _described(method: Callable[..., Any], program: Callable[..., Any]) -> Callable[..., Any]:
    """The method with the name, the parameters and the words of its program, for `help` and editors."""
    signature = inspect.signature(program)
    own = [one for name, one in signature.parameters.items() if name != "context"]
    method.__name__, method.__doc__ = program.__name__, program.__doc__
    method.__signature__ = signature.replace(parameters=own, return_annotation=inspect.Signature.empty)  # type: ignore[attr-defined]
    return method


class Verbs(Generic[Shell, Transport]):
    """What can be asked of the service."""

    paper = Verb(reads(calls.paper))
    papers = Listing(lists(calls.papers))
    batch_get = Verb(reads(calls.batch_get))
    import_paper = Verb(reads(calls.import_paper))
    claims = Listing(lists(calls.claims))
    claim = Verb(reads(calls.claim))
    drivers = Listing(lists(calls.drivers))
    driver = Verb(reads(calls.driver))
    verdicts = Listing(lists(calls.verdicts))
    verdict = Verb(reads(calls.verdict))
    evidence = Verb(reads(calls.evidence))
    predictions = Listing(streams.predictions)
    prediction_bytes = Listing(streams.prediction_bytes)
    reproductions = Listing(lists(calls.reproductions))
    reproduction = Verb(reads(calls.reproduction))
    reproduce = Verb(following.reproduce)
    wait_for = Verb(following.wait_for)
    updates = Listing(following.updates)
    verdict_of = Verb(following.verdict_of)
    cancel = Verb(reads(calls.cancel))
    audit = Listing(lists(calls.audit))
    webhooks = Listing(lists(calls.webhooks))
    register_webhook = Verb(reads(calls.register_webhook))
    remove_webhook = Verb(reads(calls.remove_webhook))
    import_claims = Verb(reads(calls.import_claims))
    import_document = Verb(reads(calls.import_document))
    text = Verb(programs.text)
    patient_text = Verb(patience.patient_text)

    made_by: ClassVar[Any]
    """Makes the shell, of its transport and of httpx's options."""

    def __init__(
        self,
        server: str,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
        cache_bytes: int = CACHE_BYTES,
        transport: Transport | None = None,
    ) -> None:
        self.context: Final = Context(_address(server), retries or Retries(), EtagCache(cache_bytes))
        self.shell: Final[Shell] = self.made_by(transport=transport, **_options(self.server, key, timeout_s))

    @property
    def server(self) -> str:
        """The service's address."""
        return self.context.server


class Client(Verbs[SyncShell, httpx.BaseTransport]):
    """A client of the service at an address such as `http://127.0.0.1:8000`. Close it, or use it as a context.

    `key` is an API key; what is public is read without. `timeout_s` is for each wait on a connection. `cache_bytes`
    bounds what is kept to be asked for anew with its ETag; 0 keeps nothing. May be shared between threads.
    """

    made_by = SyncShell.opened

    def close(self) -> None:
        """Close the connections."""
        self.shell.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(Verbs[AsyncShell, httpx.AsyncBaseTransport]):
    """The same as Client, for asyncio and trio."""

    made_by = AsyncShell.opened

    async def aclose(self) -> None:
        """Close the connections."""
        await self.shell.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _address(server: str) -> str:
    """The address without a trailing slash or `/v1`. Raises ValueError for what is none."""
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        msg = f"{server!r} is no address of a service; it looks like http://127.0.0.1:8000"
        raise ValueError(msg)
    return server.rstrip("/").removesuffix("/v1").rstrip("/")


def _options(server: str, key: str | None, timeout_s: float) -> dict[str, Any]:
    headers = {"Accept": "application/json", "User-Agent": f"paper-verdicts/{version('paper-verdicts')}"}
    if key and not _KEY.fullmatch(key.strip()):
        msg = "the key has characters that no key has; it looks like pv_0123456789ab.… and is made by `verdicts keys`"
        raise ValueError(msg)  # without the key: errors are logged
    headers |= {"Authorization": f"Bearer {key.strip()}"} if key else {}
    return {"base_url": server, "headers": headers, "timeout": timeout_s, "follow_redirects": True}
