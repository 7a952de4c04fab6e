import pytest

from tests.api.helpers import DRAFT, PAPER, PROXY, Api, counts_body, ok, refused

pytestmark = pytest.mark.usefixtures("catalogue")
BADGE = f"/v1/papers/{PAPER}/badge.json"


@pytest.mark.parametrize(
    ("counts", "message", "color"),
    [
        ((4998, 4565, 9815), "reproduced", "brightgreen"),
        ((4998, 3565, 9815), "not reproduced", "red"),
        ((20, 18, 9815), "inconclusive", "yellow"),
    ],
)
def test_a_badge_says_what_the_verdict_says(
    client: Api, counts: tuple[int, int, int], message: str, color: str
) -> None:
    ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=counts_body(counts)), 201)
    badge = ok(client.get(BADGE))
    assert badge == {"schemaVersion": 1, "label": "verdict", "message": message, "color": color}


def test_under_a_pointer_a_recount_says_that_it_is_one(client: Api) -> None:
    image = f"/v1/papers/{PAPER}/badge.svg"
    for model, name in (
        ("released_predictions", "reproduced, a recount of released predictions"),
        ("proxy", "reproduced"),
    ):
        body = counts_body((4998, 4565, 9815)) | {"protocol": {**PROXY, "model": model}}
        verdict = ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=body), 201)
        for query in ("", "?kind=POST", f"?claim={verdict['claim_id']}"):
            shown = client.get(image + query).text
            assert f"{name}</title>" in shown
            assert f'{name}"' in shown
        assert ok(client.get(BADGE))["message"] == "reproduced"


@pytest.mark.parametrize("paper", [PAPER, DRAFT, "2101.00001", "hep-th/9901001", "draft:nobody-knows"])
def test_where_there_is_no_verdict_the_badge_says_so(client: Api, paper: str) -> None:
    badge = ok(client.get(f"/v1/papers/{paper}/badge.json"))
    assert (badge["message"], badge["color"]) == ("no verdict", "lightgrey")


def test_what_is_no_paper_has_no_badge(client: Api) -> None:
    refused(client.get("/v1/papers/nonsense/badge.json"), 422, "paper_id_malformed")
    refused(client.get(f"/v1/papers/{PAPER}v1/badge.json"), 422, "version_not_meant")
