import pytest

from tests.api.helpers import DRAFT, PAPER, Api, counts_body, ok, refused

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


@pytest.mark.parametrize("paper", [PAPER, DRAFT, "2101.00001", "hep-th/9901001", "draft:nobody-knows"])
def test_where_there_is_no_verdict_the_badge_says_so(client: Api, paper: str) -> None:
    badge = ok(client.get(f"/v1/papers/{paper}/badge.json"))
    assert (badge["message"], badge["color"]) == ("no verdict", "lightgrey")


def test_what_is_no_paper_has_no_badge(client: Api) -> None:
    refused(client.get("/v1/papers/nonsense/badge.json"), 422, "paper_id_malformed")
    refused(client.get(f"/v1/papers/{PAPER}v1/badge.json"), 422, "version_not_meant")
