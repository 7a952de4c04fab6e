"""Every page: complete, valid to the letter, nothing inline, nothing from elsewhere, cached by its tag."""

import re

from fastapi.routing import APIRoute

from app.access.routes import ProtectedRoute
from app.access.scopes import Scope
from app.api import site
from app.core.db import Database
from app.dashboard.pages import FORMS, PAGES
from app.dashboard.routes import PageRoute
from tests.api.helpers import NOBODY, PAPER, Api, counted, unchanged
from tests.dashboard.reading import checked, text_of, tree
from tests.dashboard.world import DATA, DRAFT, OLD_STYLE, TINY, World, conclude
from tests.factories.drivers import make_subject


def test_every_page_is_whole_valid_and_self_contained(client: Api, database: Database, world: World) -> None:
    with unchanged(database):
        for path in world.pages:
            response = client.get(path)
            page = checked(response)
            assert len(response.content) < 100_000, path
            tag = response.headers["etag"]
            assert re.fullmatch(r'"[0-9a-f]{32}(-\w+)?"', tag)
            if "workers" not in path:  # it says how long ago something was
                again = client.get(path, headers={"If-None-Match": tag})
                assert (again.status_code, again.content) == (304, b""), path
            head = client.request("HEAD", path)
            assert (head.status_code, head.content) == (200, b"")
            for asset in {one.get("src") or one.get("href") for one in page.iter() if one.tag in {"script", "link"}}:
                assert client.get(str(asset)).status_code == 200, asset


def test_links_lead_somewhere(client: Api, world: World) -> None:
    followed = set()
    for path in world.pages:
        for element in tree(client.get(path).content).iter("a"):
            target = (element.get("href") or "").partition("#")[0]
            if target.startswith("?"):
                target = path.partition("?")[0] + target
            if target.startswith("/") and target not in followed:
                followed.add(target)
                status = client.get(target).status_code
                # What was posted as counts has nothing to compare.
                assert status == 200 or (status == 422 and target.startswith("/compare/")), (path, target, status)
    assert len(followed) > 40


def test_the_list_shows_papers_with_what_stands_for_them(client: Api, world: World) -> None:
    assert world
    text = text_of(client.get("/").content)
    for expected in ("A title", PAPER, OLD_STYLE, DRAFT, "Not reproduced", "No verdict", "91.8", "withdrawn"):
        assert expected in text
    for query, there, gone in (
        ("q=draft", DRAFT, OLD_STYLE),
        ("venue=ICLR+2023", PAPER, DRAFT),
        ("category=cs.CL", PAPER, DRAFT),
        ("withdrawn=true", OLD_STYLE, DRAFT),
        ("status=none", DRAFT, PAPER),
    ):
        narrowed = text_of(client.get(f"/?{query}").content)
        assert there in narrowed
        assert gone not in narrowed


def test_the_list_goes_on_without_losing_or_repeating(client: Api) -> None:
    ids = [f"2102.{i:05}" for i in range(1, 61)]
    for arxiv_id in ids:
        client.put_paper(arxiv_id)
    path, seen = "/?sort=arxiv_id&q=", []
    while True:
        page = tree(client.get(path).content)
        seen += [a.get("href", "").removeprefix("/papers/") for h in page.iter("h2") for a in h.iter("a")]
        following = [a.get("href") for a in page.iter("a") if a.get("rel") == "next"]
        if not following:
            break
        path = f"/{following[0]}"
        assert "sort=arxiv_id" in path
    assert seen == ids


def test_a_paper_shows_the_claim_the_decision_and_the_evidence(client: Api, world: World) -> None:
    text = text_of(client.get(f"/papers/{TINY}").content)
    for expected in (
        "A model 75.0",
        "row “A model”",
        "Reported 75.0",
        "Measured 75.00",
        "Reproduced",
        "lies inside the margin",
        "released predictions",
        "Whose weights gave the predictions?",
        "fiction",
        "travel",
        "Confusion matrix",
        "History of verdicts",
        "superseded",
        "premise number 1",
        "Ask for a reproduction",
    ):
        assert expected in text, expected
    chart = next(one for one in tree(client.get(f"/papers/{TINY}").content).iter() if one.get("class") == "axis")
    title, description, *_ = chart
    assert "Reported" in (title.text or "")
    assert "reported 75.0" in (description.text or "").lower()
    assert world.ran_again in client.get(f"/papers/{TINY}").text


def test_a_recount_is_told_from_a_run_of_the_model_beside_the_verdict(client: Api, world: World) -> None:
    run = client.get(f"/v1/verdicts/{world.ran}").json()["reproduction"]
    for path in (f"/papers/{TINY}", f"/verdicts/{world.ran}", f"/reproductions/{run}"):
        said = text_of(client.get(path).content).partition("A recount.")[2]
        assert "published predictions were scored again: no model was run." in said[:100], path
    assert "recount" not in text_of(client.get(f"/papers/{PAPER}").content)
    assert text_of(client.get("/").content).count("recount, no model run") == 1


def test_the_runs_of_a_paper_say_what_came_of_them(client: Api, database: Database, split_digest: str) -> None:
    verdict = conclude(database, make_subject(database, data=DATA), split_digest, [1, 4, 8])
    page = tree(client.get(f"/papers/{TINY}").content)
    (run,) = (one for runs in page.iter() if runs.get("class") == "runs" for one in runs)
    assert [a.get("href") for a in run.iter("a")][1:] == [f"/verdicts/{verdict}"]
    assert "".join(run.itertext()).split()[:3] == ["Succeeded", "tiny", "Reproduced"]


def test_statuses_are_told_in_words_and_reasons(client: Api, world: World) -> None:
    text = text_of(client.get(f"/verdicts/{world.counted}").content)
    assert "The 95 % interval, 78." in text
    assert "lies wholly below the margin" in text
    assert "posted as counts" in text
    assert "Posted evidence. An outside agent measured it; the decision was made here." in text
    assert "imported" in text_of(client.get(f"/verdicts/{world.imported}").content)
    assert "no longer stands" in text_of(client.get(f"/verdicts/{world.ran}").content)


def test_only_what_can_be_compared_is_offered(client: Api, world: World) -> None:
    def offered(path: str) -> list[str | None]:
        page = tree(client.get(path).content)
        return [one.get("value") for one in page.iter() if one.tag == "option" or one.get("name") == "first"]

    assert world.ran_again in offered(f"/verdicts/{world.ran}")
    assert set(offered(f"/papers/{TINY}")) >= {world.ran, world.ran_again}
    assert offered(f"/verdicts/{world.counted}") == []
    assert world.counted not in offered(f"/papers/{PAPER}")


def test_examples_are_found_by_id_text_and_label(client: Api, world: World) -> None:
    def found(query: str) -> list[str]:
        page = tree(client.get(f"/verdicts/{world.ran}/examples?{query}").content)
        return [(one.text or "").removeprefix("#") for one in page.iter("span") if one.get("class") == "id"]

    assert found("") == ["1", "4", "8"]
    assert found("q=NEEDLE") == ["4"]
    assert found("q=hypothesis+number+8") == ["8"]
    assert found("q=number+9") == []
    assert found("q=number+9&show=all") == ["9"]
    assert found("gold=neutral") == ["1", "4"]
    assert found("gold=contradiction&predicted=entailment") == ["8"]
    assert found("gold=neutral&predicted=neutral") == ["7", "10"]
    assert found("gold=no-such-label") == []
    assert found("q=1&show=all") == ["1", "10", "11"]
    assert found("q=%25&show=all") == []


def test_runs_are_shown_as_they_stand(client: Api, world: World) -> None:
    queue = text_of(client.get("/queue").content)
    assert "7 of 12" in queue
    assert "dataset_missing" in queue
    assert queue.index("Running") < queue.index("Waiting") < queue.index("Recently ended")
    failed = text_of(client.get(f"/reproductions/{world.runs['failed']}").content)
    assert "data/<gone> is not there." in failed
    assert "says nothing about the claim" in failed
    assert "Place in the queue 2" in text_of(client.get(f"/reproductions/{world.runs['queued']}").content)
    running = text_of(client.get(f"/reproductions/{world.runs['running']}").content)
    assert "85.71" in running
    crew = text_of(client.get("/workers").content)
    assert "worker-1" in crew
    assert "alive" in crew
    assert "worker-2" in crew


def test_a_run_that_has_ended_shows_the_numbers_of_its_verdict_and_no_others(client: Api, world: World) -> None:
    run = client.get(f"/v1/verdicts/{world.ran_again}").json()["reproduction"]
    ended = text_of(client.get(f"/reproductions/{run}").content)
    verdict = text_of(client.get(f"/verdicts/{world.ran_again}").content)
    why = "There is no sampling error, as every item of the split was measured"
    assert "Reported accuracy 75.0 %" in ended
    assert "Measured 75.00 %" in ended
    assert why in ended
    assert why in verdict
    # The interval that the run was watched by is of another estimand: it stands with the curve alone.
    assert "95 % interval" not in ended
    cancelled = text_of(client.get(f"/reproductions/{world.runs['cancelled']}").content)
    assert "so far" not in cancelled


def test_what_is_not_there_is_said_on_a_page(client: Api, world: World) -> None:
    for path, status, words in (
        ("/papers/2101.99999", 404, "There is no paper 2101.99999 here"),
        ("/papers/nonsense", 422, "neither an arXiv id"),
        (f"/papers/{PAPER}?claim={NOBODY}", 404, "There is no claim"),
        (f"/papers/{TINY}?claim={client.post_claim(row='Another')['id']}", 404, "is no claim of"),
        (f"/verdicts/{NOBODY}", 404, "There is no verdict"),
        ("/verdicts/none", 422, "“none” stands in the address. This is no id."),
        (f"/verdicts/{world.imported}/examples", 404, "carries no evidence"),
        (f"/compare/{world.ran}/{world.counted}", 422, "posted as counts"),
        (f"/reproductions/{NOBODY}", 404, "There is no reproduction"),
        ("/drivers/none", 404, "There is no driver"),
        ("/?status=odd", 422, "status is “odd” in the address. This has to be 'reproduced', "),
        ("/?cursor=bm9uZQ", 400, "The cursor does not belong to this list"),
    ):
        response = client.get(path)
        checked(response, status)
        assert words in text_of(response.content), path
        assert response.headers["cache-control"] == "no-store"


def test_a_draft_that_moved_sends_its_readers_on(client: Api) -> None:
    client.put_paper(DRAFT)
    assert client.patch(f"/v1/papers/{DRAFT}", json={"arxiv_id": "2103.00001"}).status_code == 200
    moved = client.get(f"/papers/{DRAFT}?kind=PRE")
    assert (moved.status_code, moved.headers["location"]) == (308, "/papers/2103.00001?kind=PRE")
    below = client.get(f"/papers/{DRAFT}/reproduce")
    assert below.headers["location"] == "/papers/2103.00001/reproduce"


def test_a_form_that_chose_two_verdicts_leads_to_their_page(client: Api, world: World) -> None:
    chosen = client.get(f"/compare?first={world.ran}&second={world.ran_again}")
    assert (chosen.status_code, chosen.headers["location"]) == (303, f"/compare/{world.ran}/{world.ran_again}")
    text = text_of(client.get(chosen.headers["location"]).content)
    assert "4 items flip: 2 only A has right, 2 only B" in text
    assert "A needle" in text


def test_a_page_costs_the_same_however_much_it_shows(client: Api, database: Database, world: World) -> None:
    paths = ["/", f"/papers/{PAPER}", f"/verdicts/{world.ran}", "/queue", "/drivers", "/workers"]

    def count_of(path: str) -> int:
        with counted(database) as statements:
            assert client.get(path).status_code == 200
        return len(statements)

    def costs() -> dict[str, int]:
        found = {}
        for path in paths:
            # The feed of events reads the same database now and then: the least of some counts is the page's own.
            found[path] = min(count_of(path) for _ in range(4))
        return found

    costs()  # results by group are counted once, and kept
    before = costs()
    for i in range(6):
        client.put_paper(f"2104.{i:05}")
        client.post_claim(f"2104.{i:05}")
        client.post_verdict(f"2104.{i:05}")
        claim = client.post_claim(row=f"Row {i}")["id"]
        client.post_verdict(claim=claim)
        client.post_verdict(kind="PRE")
    assert costs() == before
    assert before["/"] == 4
    assert max(before.values()) <= 8


def test_no_page_is_in_the_openapi_document(client: Api) -> None:
    document = client.get("/openapi.json").json()
    pages = {route.path_format for route in site().routes if isinstance(route, APIRoute)}
    assert {"/", "/queue", "/papers/{paper_id}", "/papers/{paper_id}/reproduce", "/static/{name}"} <= pages
    assert not pages & set(document["paths"])
    assert "text/html" not in str(document)


def test_pages_only_read_and_forms_take_a_key() -> None:
    pages = [route for router in PAGES for route in router.routes]
    assert len(pages) > 10
    assert {type(route) for route in pages} == {PageRoute}
    assert {method for route in pages if isinstance(route, APIRoute) for method in route.methods or ()} == {"GET"}
    forms = [route for router in FORMS for route in router.routes]
    assert [(route.methods, route.scope) for route in forms if isinstance(route, ProtectedRoute)] == [
        ({"POST"}, Scope.reproduce)
    ]
    assert not any(route.include_in_schema for route in (*pages, *forms) if isinstance(route, APIRoute))
