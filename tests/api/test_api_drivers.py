import tomllib
from pathlib import Path

import pytest

from tests.api.helpers import DRAFT_DRIVER, DRIVER, PAPER, Api, ok, refused, walk

pytestmark = pytest.mark.usefixtures("catalogue")


def test_a_driver_with_its_whole_specification(client: Api, catalogue: Path) -> None:
    (claim,) = ok(client.get(f"/v1/papers/{PAPER}/claims"))["items"]
    driver = ok(client.get(f"/v1/drivers/{DRIVER}"))
    spec, digest, updated = driver.pop("spec"), driver.pop("spec_digest"), driver.pop("updated_at")
    written = tomllib.loads((catalogue / f"drivers/{DRIVER}.toml").read_text(encoding="utf-8"))
    assert driver == {
        "slug": DRIVER,
        "agent_version": f"v0.1.0-{DRIVER}",
        "paper_arxiv_id": PAPER,
        "claim_id": claim["id"],
        "description": written["description"],
        "protocol_match": "proxy",
    }
    assert spec["claim"] == written["claim"]
    assert spec["decision"]["margin"] == 0.02
    assert len(digest) == 64
    assert updated.endswith("Z")


def test_the_catalogue_by_slug(client: Api) -> None:
    assert walk(client, "/v1/drivers?limit=1", "slug") == sorted([DRIVER, DRAFT_DRIVER])
    (first, second) = ok(client.get("/v1/drivers"))["items"]
    assert [first, second] == [ok(client.get(f"/v1/drivers/{one['slug']}")) for one in (first, second)]
    assert second["protocol_match"] == "exact"


def test_a_driver_that_is_not_there(client: Api) -> None:
    for slug in ("nobodys", "No%20Slug", "ä", "a" * 200):
        refused(client.get(f"/v1/drivers/{slug}"), 404, "driver_not_found")
    for slug in ("%00", "a%00b", "a" * 201):
        refused(client.get(f"/v1/drivers/{slug}"), 422, "validation_failed", "path.slug")
    refused(client.get("/v1/drivers?limit=0"), 422, "validation_failed", "query.limit")
