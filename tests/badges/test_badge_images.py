from typing import Final
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from httpx2 import Response

from app.badges.badge import BadgeRead
from app.badges.svg import draw
from app.badges.widths import odd_width, width_of
from tests.api.helpers import DRAFT, NOBODY, PAPER, Api, ok, refused
from tests.hostile.texts import INJECTIONS

IMAGE: Final = f"/v1/papers/{PAPER}/badge.svg"
SVG: Final = "{http://www.w3.org/2000/svg}"


def drawn(response: Response) -> Element:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/svg+xml"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "default-src 'none'"
    return fromstring(response.text, forbid_dtd=True)


def words(image: Element) -> list[str]:
    """What it shows, without the shadows."""
    return [text.text or "" for text in image.iter(f"{SVG}text") if "aria-hidden" not in text.attrib]


def name_of(image: Element) -> str:
    """What a screen reader says; both of its ways have to say the same."""
    assert image.attrib["role"] == "img"
    (title,) = image.iter(f"{SVG}title")
    assert title.text == image.attrib["aria-label"]
    return title.text


# As shields.io serves them: textLength / 10 in its flat badges for these words.
@pytest.mark.parametrize(
    ("text", "px"), [("build", 27), ("passing", 41), ("coverage", 51), ("license", 37), ("MIT", 21), ("version", 41)]
)
def test_texts_are_as_wide_as_in_the_badges_of_shields(text: str, px: int) -> None:
    assert odd_width(text) == px


def test_what_verdana_lacks_is_as_wide_as_an_m_and_controls_have_no_width() -> None:
    assert width_of("\U0010fffd") == width_of("m") > 10
    assert width_of("a\x01b\x7f") == width_of("ab")


def test_every_text_has_the_room_that_it_is_said_to_take() -> None:
    image = fromstring(draw(BadgeRead(label="build", message="passing", color="brightgreen")))
    assert image.attrib["width"] == "88"  # 27 + 41 and four paddings of 5, as at shields.io
    places = [(text.attrib["x"], text.attrib["textLength"]) for text in image.iter(f"{SVG}text")]
    assert places == [("195", "270")] * 2 + [("615", "410")] * 2


@pytest.mark.usefixtures("catalogue")
class TestOfAPaper:
    def test_says_in_words_and_colour_what_the_verdict_says(self, client: Api) -> None:
        for correct, message, colour in (
            (None, "no verdict", "#9f9f9f"),
            (4565, "reproduced", "#4c1"),
            (3565, "not reproduced", "#e05d44"),
            (4500, "inconclusive", "#dfb317"),
        ):
            if correct is not None:
                client.post_verdict(evidence={"counts": [{"n": 4998, "correct": correct, "total": 9815}]})
            image = drawn(client.get(IMAGE))
            assert words(image) == ["verdict", message]
            assert name_of(image) == f"verdict: {message}"
            assert colour in {rect.attrib["fill"] for rect in image.iter(f"{SVG}rect")}

    def test_where_there_is_no_verdict_it_says_so(self, client: Api) -> None:
        for paper in (DRAFT, "2101.00001", "hep-th/9901001", "draft:nobody-knows"):
            assert words(drawn(client.get(f"/v1/papers/{paper}/badge.svg"))) == ["verdict", "no verdict"]
            for question in (f"claim={NOBODY}", "kind=PRE"):
                answer = client.get(f"/v1/papers/{paper}/badge.svg?{question}")
                assert words(drawn(answer))[1] == "no verdict"

    def test_one_claim_and_one_kind(self, client: Api) -> None:
        claim = client.post_claim(row="Ours", column="MNLI-mm")["id"]
        client.post_verdict(claim=claim, evidence={"counts": [{"n": 20, "correct": 18, "total": 9815}]})
        client.post_verdict(kind="PRE")
        for question, said in {
            "": ["verdict", "reproduced"],
            "?kind=PRE": ["PRE verdict", "reproduced"],
            "?kind=POST": ["POST verdict", "no verdict"],
            f"?claim={claim}": ["verdict: Ours, MNLI-mm", "inconclusive"],
            f"?claim={claim}&kind=POST": ["POST verdict: Ours, MNLI-mm", "inconclusive"],
            f"?claim={claim}&kind=PRE": ["PRE verdict: Ours, MNLI-mm", "no verdict"],
            f"?claim={NOBODY}": ["verdict", "no verdict"],
        }.items():
            assert words(drawn(client.get(IMAGE + question))) == said, question
            badge = ok(client.get(f"/v1/papers/{PAPER}/badge.json{question}"))
            assert [badge["label"], badge["message"]] == said, question

    def test_another_papers_claim_is_nobodys_here(self, client: Api) -> None:
        client.put_paper("2101.00001")
        claim = client.post_claim("2101.00001", row="Theirs")["id"]
        client.post_verdict("2101.00001")
        assert words(drawn(client.get(f"{IMAGE}?claim={claim}"))) == ["verdict", "no verdict"]

    def test_what_makes_no_sense_is_refused(self, client: Api) -> None:
        refused(client.get("/v1/papers/nonsense/badge.svg"), 422, "paper_id_malformed")
        refused(client.get(f"/v1/papers/{PAPER}v1/badge.svg"), 422, "version_not_meant")
        refused(client.get(f"{IMAGE}?kind=MID"), 422, "validation_failed", "query.kind")
        refused(client.get(f"{IMAGE}?claim=x"), 422, "validation_failed", "query.claim")

    def test_it_is_kept_as_long_as_it_holds(self, client: Api) -> None:
        held = {}
        for address in (IMAGE, f"{IMAGE}?kind=PRE"):
            first = client.get(address)
            assert first.headers["cache-control"] == "public, no-cache"
            held[address] = {"If-None-Match": first.headers["etag"]}
            assert client.get(address, headers=held[address]).status_code == 304
        client.post_verdict(kind="PRE")
        for address, headers in held.items():
            assert words(drawn(client.get(address, headers=headers)))[1] == "reproduced"

    def test_a_draft_that_has_its_arxiv_id_leads_on_with_the_question(self, client: Api) -> None:
        ok(client.patch(f"/v1/papers/{DRAFT}", json={"arxiv_id": "2101.00001"}))
        moved = client.get(f"/v1/papers/{DRAFT}/badge.svg?kind=PRE")
        assert moved.status_code == 308
        assert moved.headers["location"] == "/v1/papers/2101.00001/badge.svg?kind=PRE"

    def test_no_text_of_a_claim_becomes_markup(self, client: Api) -> None:
        plain = [element.tag for element in drawn(client.get(IMAGE)).iter()]
        for text in INJECTIONS:
            claim = client.post_claim(row=f"{text} {len(text)}", column="x" + text)["id"]
            image = drawn(client.get(f"{IMAGE}?claim={claim}"))
            assert [element.tag for element in image.iter()] == plain, text
            assert name_of(image) == ": ".join(words(image))
            assert len(words(image)[0]) <= 60
            assert words(image)[0].isprintable()
