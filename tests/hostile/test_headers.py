"""Headers that make no sense are refused as such, or taken for what they are; they break nothing."""

from typing import Final

from hypothesis import HealthCheck, example, given
from hypothesis import settings as pace
from hypothesis import strategies as st

from app.core.db import Database
from tests.api.helpers import NOBODY, PAPER, Api, claim_body, counts_body, paper_body, refused, unchanged

EASY: Final = pace(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
NAMES: Final = (
    b"if-none-match", b"if-match", b"accept", b"range", b"content-type", b"idempotency-key", b"prefer", b"host",
    b"x-forwarded-for", b"x-request-id", b"traceparent", b"authorization", b"cookie", b"accept-encoding", b"origin",
    b"last-event-id", b"if-modified-since", b"expect", b"x-http-method-override",
)  # fmt: skip
VALUES: Final = (
    st.binary(max_size=60).map(lambda value: value.translate(None, b"\0\r\n"))  # which no server lets through
    | st.sampled_from(
        [b"*", b'""', b'W/"', b"*/*;q=", b"bytes=-1,5-2,", b"application/json;charset=\xff", b"a" * 60_000]
    )
    | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").translate(None, b"\0\r\n"))
)
HEADERS: Final = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6)
READS: Final = (
    "/v1/papers", f"/v1/papers/{PAPER}", f"/v1/papers/{PAPER}/claims", "/v1/verdicts", f"/v1/verdicts/{NOBODY}",
    f"/v1/verdicts/{NOBODY}/predictions", "/healthz", "/openapi.json", "/nothing",
)  # fmt: skip
WRITES: Final[tuple[tuple[str, str, dict[str, object]], ...]] = (
    ("PUT", f"/v1/papers/{PAPER}", paper_body()),
    ("PATCH", f"/v1/papers/{PAPER}", {"venue": "ACL"}),
    ("POST", f"/v1/papers/{PAPER}/claims", claim_body()),
    ("POST", f"/v1/papers/{PAPER}/verdicts", counts_body()),
    ("POST", f"/v1/papers/{PAPER}/reproductions", {}),
    ("POST", "/v1/designs", {"reported_value": "91.8", "unit": "percent"}),
)


@given(st.sampled_from(READS), st.sampled_from(["GET", "HEAD"]), HEADERS)
@example(READS[1], "GET", [(b"if-none-match", b'"' * 60_000)])
@EASY
def test_reading_with_any_headers(api: Api, path: str, method: str, headers: list[tuple[bytes, bytes]]) -> None:
    answer = api.request(method, path, headers=headers)
    refusals = {b"authorization": 401, b"if-match": 412}  # with what is no key, and no tag of ours
    allowed = {200, 304, 404, 406} | {refusals[name] for name, _ in headers if name in refusals}
    assert answer.status_code in allowed
    if answer.status_code >= 400 and method == "GET":
        refused(answer, answer.status_code, answer.json()["code"])


@given(st.sampled_from(WRITES), HEADERS)
@EASY
def test_changing_with_any_headers(
    api: Api, write: tuple[str, str, dict[str, object]], headers: list[tuple[bytes, bytes]]
) -> None:
    method, path, body = write
    answer = api.request(method, path, json=body, headers=headers)
    assert answer.status_code < 500
    if answer.status_code >= 400:
        refused(answer, answer.status_code, answer.json()["code"])


def test_idempotency_keys_that_are_none(api: Api, database: Database) -> None:
    with unchanged(database):
        for key in (b"", b"a" * 256, b"\x7f", b"a\tb", b"\x1b[31m"):
            headers = [(b"idempotency-key", key)]
            answer = api.post(f"/v1/papers/{PAPER}/reproductions", json={}, headers=headers)
            refused(answer, 422, "validation_failed", "header.Idempotency-Key")
