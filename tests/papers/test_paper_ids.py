import re
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.models.paper import ARXIV_ID
from app.papers.errors import PaperIdError
from app.papers.ids import PaperRef
from tests.api.helpers import Api, refused

KEPT: Final = re.compile(ARXIV_ID.removeprefix("^").removesuffix("$"), re.ASCII)
"""What the table itself accepts, as a pattern of Python: both have to say the same."""
WRITTEN: Final = st.from_regex(KEPT, fullmatch=True).filter(lambda text: len(text) <= 90)

GOOD: Final = {
    "2111.09543": ("2111.09543", None),
    "0704.0001": ("0704.0001", None),
    "2111.09543v1": ("2111.09543", 1),
    "2111.09543v999999": ("2111.09543", 999_999),
    "hep-th/9901001": ("hep-th/9901001", None),
    "hep-th/9901001v3": ("hep-th/9901001", 3),
    "math.GT/0309136": ("math.GT/0309136", None),
    "math.GT/0309136v12": ("math.GT/0309136", 12),
    "draft:my-paper": ("draft:my-paper", None),
    "draft:1-v2": ("draft:1-v2", None),
}
MALFORMED: Final = (
    "2113.09543",
    "2100.09543",
    "2111.095",
    "2111.095430",
    "2111.09543v",
    "2111.09543v0",
    "2111.09543v01",
    "2111.09543v1000000",
    "2111.09543V1",
    "2111.09543v1v2",
    "arXiv:2111.09543",
    "٢١١١.٠٩٥٤٣",
    "2111.0954\uff13",
    "2111.09543\n",
    " 2111.09543",
    "hep-th/99010011",
    "hep-th/9913001",
    "HEP-TH/9901001",
    "math.gt/0309136",
    "draft:",
    "draft:My-Paper",
    "draft:a--b",
    "draft:-a",
    "draft:ä",
    "draft:" + "a" * 100,
    "Draft:a",
    "9" * 10_000,
    "\0",
    "😀",
)


@pytest.mark.parametrize(("text", "parts"), GOOD.items())
def test_an_id_and_its_version(text: str, parts: tuple[str, int | None]) -> None:
    ref = PaperRef.parse(text)
    assert (ref.arxiv_id, ref.version) == parts
    assert ref.is_draft == text.startswith("draft:")


@pytest.mark.parametrize("text", [*MALFORMED, "", "hep-th/", "/9901001", "hep-th/9901001/1"])
def test_anything_else_is_no_id(text: str) -> None:
    with pytest.raises(PaperIdError) as refusal:
        PaperRef.parse(text)
    assert len(refusal.value.detail) < 1_000


@given(WRITTEN, st.none() | st.integers(1, 999_999))
def test_every_id_that_the_table_keeps_is_read(arxiv_id: str, version: int | None) -> None:
    text = arxiv_id if version is None else f"{arxiv_id}v{version}"
    if arxiv_id.startswith("draft:"):
        assert PaperRef.parse(arxiv_id) == PaperRef(arxiv_id)
    else:
        assert PaperRef.parse(text) == PaperRef(arxiv_id, version)


@given(st.text(max_size=120) | WRITTEN.flatmap(lambda text: st.sampled_from([text + "v", text + "\n", text[1:]])))
@example("hep-th/9901001v1\n")
def test_nothing_is_read_that_the_table_does_not_keep(text: str) -> None:
    try:
        ref = PaperRef.parse(text)
    except PaperIdError:
        return
    assert KEPT.fullmatch(ref.arxiv_id)
    assert text == ref.arxiv_id + ("" if ref.version is None else f"v{ref.version}")


def test_malformed_ids_are_refused_with_their_code(client: Api) -> None:
    for text in MALFORMED:
        path = "".join(f"%{byte:02X}" for byte in text.encode())
        for suffix in ("", "/claims", "/versions", "/verdicts"):
            response = client.get(f"/v1/papers/{path}{suffix}")
            if "/" in text and suffix and response.status_code == 404:
                continue  # two segments that are no id, and a third: no address of ours
            refused(response, 422, "paper_id_malformed", "path.paper_id")
            assert len(response.content) < 1_000


@pytest.mark.parametrize(
    ("arxiv_id", "why"),
    [
        ("9012.00001", "December 2090 is still to come"),
        ("2004.00000", "the numbers of a month begin with 1"),
        ("2004.1360", "four digits until 2014, and five since then"),
        ("1412.00001", "four digits until 2014, and five since then"),
        ("0703.0001", "0704.0001, and older ones are like hep-th/9901001"),
        ("hep-th/0704001", "end with March 2007"),
    ],
)
def test_what_arxiv_cannot_have_is_not_to_be_registered_but_looked_at_again(
    client: Api, arxiv_id: str, why: str
) -> None:
    detail = refused(client.get(f"/v1/papers/{arxiv_id}"), 404, "paper_not_found")["detail"]
    assert why in detail
    assert detail.endswith(
        "Check the id. A paper that is not on arXiv is registered as a draft: PUT /v1/papers/draft:my-paper."
    )
    page = client.get(f"/papers/{arxiv_id}", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert f"{why}. Check the id.</p>" in page.text
    refused(client.post(f"/v1/papers/{arxiv_id}/import"), 404, "arxiv_paper_not_found")


@pytest.mark.parametrize(
    "arxiv_id", ["2004.13607", "1412.0001", "0704.0001", "hep-th/0703001", "hep-th/9901001", "draft:x"]
)
def test_what_arxiv_may_have_is_to_be_registered(client: Api, arxiv_id: str) -> None:
    detail = refused(client.get(f"/v1/papers/{arxiv_id}"), 404, "paper_not_found")["detail"]
    assert detail == f"There is no paper {arxiv_id} here. Register it with PUT /v1/papers/{arxiv_id}."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2013.00001", "there is no month 13"),
        ("9999.99999v2", "there is no month 99"),
        ("hep-th/9900001", "there is no month 00"),
        ("arXiv:2111.09543v2", "it has to be '2111.09543v2' alone"),
        ("2111.09543.pdf", "it has to be '2111.09543' alone"),
        ("my paper", "nor a draft id (like draft:my-paper)"),
    ],
)
def test_what_is_wrong_with_an_id_is_said(client: Api, text: str, said: str) -> None:
    assert said in refused(client.get(f"/v1/papers/{text}"), 422, "paper_id_malformed")["detail"]


def test_a_percent_encoded_slash_is_the_slash(client: Api) -> None:
    client.put_paper("hep-th/9901001", title="Old style")
    for path in ("hep-th/9901001", "hep-th%2F9901001", "hep-th%2f9901001"):
        assert client.get(f"/v1/papers/{path}").json()["paper"]["title"] == "Old style"
        assert client.get(f"/v1/papers/{path}v1").status_code == 200
        for below in ("claims", "versions", "versions/1", "verdicts"):
            assert client.get(f"/v1/papers/{path}/{below}").status_code == 200


def test_old_style_ids_serve_every_verb(client: Api) -> None:
    created = client.put("/v1/papers/math.GT/0309136", json={"title": "Knots", "abstract": "About knots."})
    assert created.headers["location"] == "/v1/papers/math.GT/0309136"
    claim = client.post_claim("math.GT/0309136")
    assert claim["paper_arxiv_id"] == "math.GT/0309136"
    version = client.post("/v1/papers/math.GT/0309136/versions", json={})
    assert version.headers["location"] == "/v1/papers/math.GT/0309136/versions/2"
    assert client.patch("/v1/papers/math.GT/0309136", json={"venue": "G&T"}).json()["paper"]["venue"] == "G&T"
    verdict = client.post_verdict("math.GT/0309136v1")
    assert (verdict["paper_arxiv_id"], verdict["paper_version"]) == ("math.GT/0309136", 1)
    assert client.get("/v1/papers/math.GT/0309136v1").json()["verdict"]["id"] == verdict["id"]


@pytest.mark.parametrize("path", ["/v1/papers/2111.09543/nothing", "/v1/papers/hep-th/9901001/nothing", "/v1/nothing"])
def test_addresses_that_do_not_exist(client: Api, path: str) -> None:
    refused(client.get(path), 404, "not_found")
