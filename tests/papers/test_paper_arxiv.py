import gzip
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Thread
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.core.db import Database
from app.core.settings import ArxivSettings
from app.papers import endpoints
from app.papers.arxiv import fetch_metadata, parse_feed
from app.papers.errors import ArxivError, ArxivNotFoundError, PaperChangeError
from app.papers.ids import PaperRef
from tests.api.helpers import PAPER, Api, ok, refused, unchanged

PUBLIC = "151.101.1.42"
SETTINGS = ArxivSettings(timeout_s=60, max_bytes=10_000)
REF = PaperRef(PAPER)
Answer = Callable[[httpx.Request], httpx.Response]


def feed(
    arxiv_id: str = f"{PAPER}v4",
    title: str = "DeBERTaV3:\n  Improving",
    extra: str = "",
    summary: str = "An\n abstract.",
) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
    <feed xmlns="http://www.w3.org/2005/Atom"><title>ArXiv Query</title><entry>
    <id>http://arxiv.org/abs/{arxiv_id}</id><published>2021-11-18T06:48:00Z</published>
    <title>{title}</title><summary>{summary}</summary>{extra}
    <arxiv:primary_category xmlns:arxiv="http://arxiv.org/schemas/atom" term="cs.CL"/>
    </entry></feed>""".encode()


def served(body: bytes) -> httpx.Response:
    """The body as the network brings it: in pieces, once."""
    return httpx.Response(200, content=iter([body[:100], body[100:]]))


JOURNAL = '<arxiv:journal_ref xmlns:arxiv="http://arxiv.org/schemas/atom">ICLR 2023</arxiv:journal_ref>'


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have every name resolve to these addresses, public ones unless told otherwise."""

    real = socket.getaddrinfo

    def to(*addresses: str) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]

        def resolved(host: str, *more: Any, **options: Any) -> Any:  # noqa: ANN401  # the socket module's own
            # Redis, which the service counts requests in, is really there.
            return real(host, *more, **options) if host == "127.0.0.1" else found

        monkeypatch.setattr("app.core.outgoing.socket.getaddrinfo", resolved)

    to(PUBLIC)
    return to


def fetch(answer: Answer | httpx.Response, settings: ArxivSettings = SETTINGS, ref: PaperRef = REF) -> object:
    handler = answer if callable(answer) else lambda _: answer
    return fetch_metadata(ref, settings, transport=httpx.MockTransport(handler))


@pytest.mark.usefixtures("resolve")
def test_a_good_feed() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return served(feed(extra=JOURNAL))

    put = fetch_metadata(REF, SETTINGS, transport=httpx.MockTransport(answer))
    assert put.model_dump(mode="json") == {
        "title": "DeBERTaV3: Improving",
        "abstract": "An abstract.",
        "primary_category": "cs.CL",
        "venue": "ICLR 2023",
        "published_at": "2021-11-18T06:48:00.000Z",
        "withdrawn": False,
        "source_url": None,
    }
    (request,) = asked
    assert str(request.url) == f"https://{PUBLIC}/api/query?id_list={PAPER}&max_results=1"
    assert request.headers["host"] == "export.arxiv.org"
    assert request.extensions["sni_hostname"] == "export.arxiv.org"
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.usefixtures("resolve")
@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("hep-th/9901001", "hep-th/9901001v2"),
        ("math.GT/0309136", "math/0309136v1"),
        ("math.GT/0309136", "math.GT/0309136"),
    ],
)
def test_an_old_style_id_is_recognised_without_its_subject_class(asked: str, answered: str) -> None:
    assert fetch(served(feed(answered)), ref=PaperRef(asked))


@pytest.mark.parametrize(
    "answered", ["2111.09544v1", "12111.09543", "2111.09543v1/x", "hep-th/2111.09543", "2111x09543", ""]
)
def test_another_paper_than_was_asked_for_is_not_used(answered: str) -> None:
    with pytest.raises(ArxivError, match="another paper"):
        parse_feed(feed(answered), REF)


@pytest.mark.usefixtures("resolve")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 204, 400, 403, 404, 429, 500, 503])
def test_no_other_status_is_taken_and_no_redirect_followed(status: int) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(status, headers={"Location": "http://169.254.169.254/latest"}, content=feed())

    with pytest.raises(ArxivError, match=str(status)):
        fetch(answer)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104  # nothing is bound here
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::1",
        "64:ff9b::a9fe:a9fe",
        "2001:db8::1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::a00:1",
        "fec0::1",
        "5f00::1",
        "3fff::1",
        "192.0.0.8",
        "192.88.99.1",
    ],
)
def test_an_address_inside_our_own_network_is_not_contacted(resolve: Callable[..., None], address: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    for addresses in ([address], [PUBLIC, address]):
        resolve(*addresses)
        with pytest.raises(ArxivError, match="not public"):
            fetch(answer)


def test_an_ipv6_address_is_contacted_too(resolve: Callable[..., None]) -> None:
    resolve("2a04:4e42::42")
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return served(feed())

    fetch(answer)
    assert asked == ["2a04:4e42::42"]


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch, resolve: Callable[..., None]) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("app.core.outgoing.socket.getaddrinfo", nowhere)
    with pytest.raises(ArxivError, match="cannot be resolved"):
        fetch(served(feed()))
    resolve()
    with pytest.raises(ArxivError):
        fetch(served(feed()))


@pytest.mark.usefixtures("resolve")
def test_an_endless_body_is_left_off() -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield b" " * 1000

    with pytest.raises(ArxivError, match="exceeds"):
        fetch(httpx.Response(200, content=endless()))
    assert sent <= SETTINGS.max_bytes + 1000


@pytest.mark.usefixtures("resolve")
def test_a_body_that_drips_is_left_off() -> None:
    def dripping() -> Iterator[bytes]:
        while True:
            time.sleep(0.02)
            yield b" "

    started = time.monotonic()
    with pytest.raises(ArxivError, match="exceeds"):
        fetch(httpx.Response(200, content=dripping()), SETTINGS.model_copy(update={"timeout_s": 0.1}))
    assert time.monotonic() - started < 60


DRIPS = {
    "nothing": b"",
    "a status line": b"HTTP/1.1 200 OK",
    "headers": b"HTTP/1.1 200 OK\r\nX-Drop: ",
    "a body": b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
}


MANY = 2000


@contextmanager
def dripping_server(beginning: bytes) -> Iterator[tuple[int, list[int]]]:
    """Says this, then a letter every 20 ms until the other side goes, or for a minute; its port, and what was sent."""
    sent: list[int] = []

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            client, _ = listener.accept()
            with client:
                client.sendall(beginning)
                while len(sent) < MANY:
                    time.sleep(0.02)
                    if beginning:
                        client.sendall(b"a")
                    elif not client.recv(65536):  # it says nothing; the request is all there is to read
                        return
                    sent.append(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, args=[listener])
        thread.start()
        try:
            yield listener.getsockname()[1], sent
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


class Here(httpx.HTTPTransport):
    """The network, but for the address: all that httpx asks of arXiv goes to a port of this machine."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return super().handle_request(request)


@pytest.mark.usefixtures("resolve")
@pytest.mark.parametrize("what", DRIPS)
def test_an_answer_that_drips_anywhere_is_left_off_as_a_whole(what: str) -> None:
    """No single read takes longer than the time-out, and the whole does not either."""
    with dripping_server(DRIPS[what]) as (port, sent), pytest.raises(ArxivError, match=r"0\.4 s"):
        fetch_metadata(REF, SETTINGS.model_copy(update={"timeout_s": 0.4}), transport=Here(port))
    assert len(sent) < MANY


@pytest.mark.usefixtures("resolve")
def test_a_compressed_body_is_not_unpacked() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(gzip.compress(b" " * 10_000_000))
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=stream)

    with pytest.raises(ArxivError, match="compressed"):
        fetch(answer)


@pytest.mark.usefixtures("resolve")
@pytest.mark.parametrize(
    "error", [httpx.ConnectTimeout, httpx.ReadTimeout, httpx.ConnectError, httpx.RemoteProtocolError]
)
def test_a_connection_that_fails(error: type[httpx.TransportError]) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error("secret detail of the network")

    with pytest.raises(ArxivError) as refusal, capture_logs() as logged:
        fetch(answer)
    assert "does not answer from here; try again later" in refusal.value.detail
    assert [line["error"] for line in logged] == [error.__name__]
    assert "secret" not in f"{refusal.value.detail} {logged}"


BOMB = b"""<?xml version="1.0"?><!DOCTYPE feed [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><feed>&c;</feed>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE feed [<!ENTITY x SYSTEM "file:///etc/passwd">]><feed>&x;</feed>"""


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        OUTSIDE,
        b"",
        b"not xml",
        b"<feed>",
        b"\xff\xfe\x00",
        b"<a>" * 100_000,
        b"<?xml version='1.0' encoding='bogus'?><feed/>",
        b"<?xml version='1.0' encoding='utf-7'?><feed/>",
    ],
)
def test_what_is_no_plain_xml_is_not_used(body: bytes) -> None:
    with pytest.raises(ArxivError, match="not a well-formed Atom feed"):
        parse_feed(body, REF)


def test_xml_that_is_nested_deeply_holds_no_paper() -> None:
    with pytest.raises(ArxivNotFoundError):
        parse_feed(b"<a>" * 50_000 + b"</a>" * 50_000, REF)


@given(st.binary() | st.text().map(str.encode) | st.text().map(lambda title: feed(title=title)))
def test_any_answer_is_a_paper_or_an_error(body: bytes) -> None:
    try:
        put = parse_feed(body, REF)
    except (ArxivError, ArxivNotFoundError):
        return
    assert put.title
    assert "\n" not in put.title


@pytest.mark.parametrize(
    "body",
    [
        b'<feed xmlns="http://www.w3.org/2005/Atom"></feed>',
        feed().replace(b"http://arxiv.org/abs/2111.09543v4", b"http://arxiv.org/api/errors#incorrect_id_format"),
    ],
)
def test_a_paper_that_arxiv_does_not_know(body: bytes) -> None:
    with pytest.raises(ArxivNotFoundError):
        parse_feed(body, REF)


@pytest.mark.parametrize("body", [feed(title=""), feed(summary=" "), feed(title="a" * 1001)])
def test_an_entry_that_lacks_what_a_paper_needs(body: bytes) -> None:
    with pytest.raises(ArxivError, match="lacks"):
        parse_feed(body, REF)


def test_a_draft_is_not_asked_for() -> None:
    with pytest.raises(PaperChangeError):
        fetch(served(feed()), ref=PaperRef("draft:mine"))


@pytest.fixture
def arxiv_says(monkeypatch: pytest.MonkeyPatch, resolve: Callable[..., None]) -> Callable[[httpx.Response], None]:  # noqa: ARG001  # names resolve
    """Have arXiv answer the service with this."""

    def say(response: httpx.Response) -> None:
        transport = httpx.MockTransport(lambda _: response)
        monkeypatch.setattr(endpoints, "fetch_metadata", partial(fetch_metadata, transport=transport))

    return say


Says = Callable[[httpx.Response], None]
IMPORT = f"/v1/papers/{PAPER}/import"


def test_importing_registers_the_paper(client: Api, arxiv_says: Says) -> None:
    arxiv_says(served(feed(extra=JOURNAL)))
    answer = client.post(IMPORT)
    document = ok(answer, 201)
    assert answer.headers["location"] == f"/v1/papers/{PAPER}"
    assert ok(client.get(f"/v1/papers/{PAPER}")) == document
    assert (document["paper"]["title"], document["paper"]["venue"]) == ("DeBERTaV3: Improving", "ICLR 2023")
    assert document["latest_version"]["source_url"] == f"https://arxiv.org/abs/{PAPER}"
    arxiv_says(served(feed(extra=JOURNAL)))
    assert ok(client.post(IMPORT)) == document


def test_importing_again_keeps_what_arxiv_does_not_say(api: Api, arxiv_says: Says) -> None:
    verdict = api.post_verdict()
    ok(api.patch(f"/v1/papers/{PAPER}", json={"withdrawn": True, "venue": "ICLR 2023"}))
    arxiv_says(served(feed(title="Renamed")))
    document = ok(api.post(IMPORT))
    paper = document["paper"]
    assert (paper["title"], paper["withdrawn"], paper["venue"]) == ("Renamed", True, "ICLR 2023")
    assert document["verdict"]["id"] == verdict["id"]


def test_if_match_holds_an_import_to_the_state_its_author_saw(api: Api, database: Database, arxiv_says: Says) -> None:
    seen = api.get(f"/v1/papers/{PAPER}").headers["etag"]
    ok(api.patch(f"/v1/papers/{PAPER}", json={"venue": "ACL"}))
    present = api.get(f"/v1/papers/{PAPER}").headers["etag"]
    with unchanged(database):
        for header, path in ((seen, IMPORT), (f"W/{present}", IMPORT), ("*", "/v1/papers/2111.09999/import")):
            arxiv_says(served(feed(title="Renamed").replace(PAPER.encode(), path.split("/")[3].encode())))
            refused(api.post(path, headers={"If-Match": header}), 412, "precondition_failed")
    arxiv_says(served(feed(title="Renamed")))
    assert ok(api.post(IMPORT, headers={"If-Match": present}))["paper"]["title"] == "Renamed"


def test_a_failed_import_says_why_and_writes_nothing(api: Api, database: Database, arxiv_says: Says) -> None:
    with unchanged(database):
        arxiv_says(httpx.Response(500))
        refused(api.post(IMPORT), 502, "arxiv_unavailable")
        arxiv_says(served(BOMB))
        refused(api.post(IMPORT), 502, "arxiv_unavailable")
        arxiv_says(served(b'<feed xmlns="http://www.w3.org/2005/Atom"/>'))
        refused(api.post("/v1/papers/2111.09999/import"), 404, "arxiv_paper_not_found")
        refused(api.post(f"/v1/papers/{PAPER}v1/import"), 422, "version_not_meant")
        refused(api.post("/v1/papers/draft:mine/import"), 404, "paper_not_found")
    api.put_paper("draft:mine")
    refused(api.post("/v1/papers/draft:mine/import"), 422, "paper_change_invalid")
