"""GET /v1/verdicts/{a}/compare/{b}: the statistics on the items both measured, what differs, what flipped."""

import pytest
from scipy.stats import binomtest

from app.core.db import Database
from app.statistics.paired import compare_paired
from app.verdicts.conclude import conclude_run
from tests.api.fixtures import api, app, client, database, settings
from tests.api.helpers import NOBODY, PAPER, PROXY, SPLIT, Api, Json, counted, next_url, ok, refused, unchanged
from tests.factories.drivers import make_subject
from tests.factories.runs import ask, beat, facts, predictions, take
from tests.factories.verdicts import issue_verdict

__all__ = ["api", "app", "client", "database", "settings"]

E, N, C = SPLIT


def posted(client: Api, items: dict[str, tuple[str, str]], labels: tuple[str, ...] = (E, N, C)) -> str:
    """A verdict with these predictions, (gold, predicted) by item."""
    rows = [{"id": item, "gold": gold, "predicted": one} for item, (gold, one) in items.items()]
    split = dict.fromkeys(labels, 3000)
    evidence = {"labels": list(labels), "split_label_counts": split, "predictions": rows}
    body = {"agent_version": "v1.0.0-agent", "protocol": PROXY, "evidence": evidence}
    return str(ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=body), 201)["id"])


def items(answers: str) -> dict[str, tuple[str, str]]:
    """Items of gold label neutral: r is right, w wrong, v wrong in another way."""
    predicted = {"r": N, "w": E, "v": C}
    return {f"item-{i:03}": (N, predicted[one]) for i, one in enumerate(answers)}


def compared(client: Api, first: str, second: str, query: str = "") -> Json:
    return ok(client.get(f"/v1/verdicts/{first}/compare/{second}{query}"))


def test_the_common_items_are_compared_and_no_others(api: Api, database: Database) -> None:
    first, second = items("rrrrrrrrrrwwwrrv"), items("rrrrrrrrwwwvrrrw")
    a, b = posted(api, first | {"mine": (E, N)}), posted(api, second | {"theirs": (E, E), "other": (C, N)})
    with unchanged(database), counted(database) as statements:
        answer = compared(api, a, b)
    assert len(statements) == 3
    right_a = [gold == one for gold, one in first.values()]
    right_b = [gold == one for gold, one in second.values()]
    expected = compare_paired(right_a, right_b)
    assert (answer["n"], answer["both_correct"], answer["only_first"], answer["only_second"]) == (16, 10, 2, 1)
    assert (answer["both_wrong"], answer["wrong_differently"]) == (3, 2)
    assert answer["difference"] == pytest.approx(1 / 16)
    assert answer["interval_95"] == pytest.approx(expected.interval)
    assert answer["p_value"] == pytest.approx(binomtest(2, 3, 0.5).pvalue)
    assert [(side["items"], side["correct"], side["accuracy"]) for side in (answer["first"], answer["second"])] == [
        (17, 12, 12 / 16),
        (18, 11, 11 / 16),
    ]
    assert answer["data_fingerprint"] is None
    assert [(one["item_id"], one["gold"], one["first"], one["second"], one["right"]) for one in flips(answer)] == [
        ("item-008", N, N, E, "first"),
        ("item-009", N, N, E, "first"),
        ("item-012", N, E, N, "second"),
    ]


def flips(answer: Json) -> list[Json]:
    found: list[Json] = answer["flipped"]["items"]
    return found


def test_the_other_way_round_is_the_mirror_image(api: Api) -> None:
    a, b = posted(api, items("rrrwwrrwrr")), posted(api, items("rwwwrrrvrw"))
    one, two = compared(api, a, b), compared(api, b, a)
    assert (one["only_first"], one["only_second"]) == (two["only_second"], two["only_first"]) == (3, 1)
    assert one["difference"] == -two["difference"]
    assert one["interval_95"] == pytest.approx([-two["interval_95"][1], -two["interval_95"][0]])
    assert one["p_value"] == two["p_value"]
    itself = compared(api, a, a)
    assert (itself["difference"], itself["p_value"], flips(itself)) == (0.0, 1.0, [])
    low, high = itself["interval_95"]
    assert low < 0 < high


def test_flips_come_in_pages_that_lose_nothing(api: Api) -> None:
    a, b = posted(api, items("rw" * 10)), posted(api, items("wr" * 10))
    whole = [one["item_id"] for one in flips(compared(api, a, b))]
    assert len(whole) == 20
    url: str | None = f"/v1/verdicts/{a}/compare/{b}?limit=7"
    walked: list[str] = []
    while url is not None:
        response = api.get(url)
        walked += [one["item_id"] for one in flips(ok(response))]
        url = next_url(response)
    assert walked == whole
    refused(api.get(f"/v1/verdicts/{a}/compare/{b}?cursor=bm9uZQ"), 400, "cursor_invalid")


def test_labels_in_another_order_are_the_same_labels(api: Api) -> None:
    a = posted(api, {"1": (E, E), "2": (N, C), "3": (C, C)})
    b = posted(api, {"1": (E, N), "2": (N, C), "3": (C, C)}, labels=(C, E, N))
    answer = compared(api, a, b)
    assert (answer["n"], answer["only_first"], answer["both_wrong"], answer["wrong_differently"]) == (3, 1, 1, 0)
    assert (flips(answer)[0]["first"], flips(answer)[0]["second"]) == (E, N)


def test_other_data_is_a_conflict(api: Api) -> None:
    a = posted(api, items("rrrr"))
    gold_differs = posted(api, {"item-000": (E, E), "item-001": (N, N)})
    for b in (gold_differs, posted(api, {"item-000": ("yes", "yes")}, labels=("yes", "no"))):
        refused(api.get(f"/v1/verdicts/{a}/compare/{b}"), 409, "data_differ")


def test_nothing_in_common_cannot_be_compared(api: Api) -> None:
    a, b = posted(api, items("rrrr")), posted(api, {"elsewhere": (N, N)})
    refused(api.get(f"/v1/verdicts/{a}/compare/{b}"), 422, "no_common_items")
    counts = api.post_verdict()["id"]
    for one, two in ((a, counts), (counts, a)):
        assert counts in refused(api.get(f"/v1/verdicts/{one}/compare/{two}"), 422, "no_common_items")["detail"]
    for one, two in ((a, NOBODY), (NOBODY, a)):
        assert NOBODY in refused(api.get(f"/v1/verdicts/{one}/compare/{two}"), 404, "verdict_not_found")["detail"]
    refused(api.get(f"/v1/verdicts/{a}/compare/no-id"), 422, "validation_failed", "path.second")


def run_of(database: Database, slug: str, fingerprint: str, wrong: list[int], **changes: object) -> str:
    """The verdict of a run on the tiny split, whose content has this fingerprint."""
    subject = make_subject(database, slug, "2101.00001", claim={"row": slug}, **changes)
    ask(database, subject)
    lease = take(database)
    beat(database, lease, predictions(wrong=wrong))
    stated = facts()
    stated["data"] |= {"fingerprint": fingerprint, "name": "Tiny", "split": slug}
    with database.unit_of_work() as session:
        return str(conclude_run(session, lease, stated).id)


def test_runs_on_the_same_split_are_paired_by_row(client: Api, database: Database) -> None:
    a = run_of(database, "one", "same", [1, 2], inference={"dtype": "float16"})
    b = run_of(database, "two", "same", [2, 3, 4])
    answer = compared(client, a, b)
    assert (answer["data_fingerprint"], answer["n"]) == ("same", 12)
    assert (answer["only_first"], answer["only_second"], answer["both_wrong"]) == (2, 1, 1)
    assert [one["row"] for one in flips(answer)] == [1, 3, 4]
    differs = {one["axis"]: (one["first"], one["second"]) for one in answer["axes"] if one["differs"]}
    assert differs == {"dtype": ("float16", "float32")}
    assert {one["axis"] for one in answer["axes"]} == {
        "model",
        "data",
        "metric",
        "inference",
        "slice",
        "dtype",
        "margin",
    }


def test_runs_on_other_content_are_a_conflict_that_names_both(client: Api, database: Database) -> None:
    a, b = run_of(database, "one", "this", []), run_of(database, "two", "that", [])
    detail = refused(client.get(f"/v1/verdicts/{a}/compare/{b}"), 409, "data_differ")["detail"]
    assert "Tiny one" in detail
    assert "Tiny two" in detail


def test_an_imported_verdict_has_no_items(client: Api, database: Database) -> None:
    subject = make_subject(database)
    imported = str(issue_verdict(database, subject))
    refused(client.get(f"/v1/verdicts/{imported}/compare/{imported}"), 404, "evidence_not_found")
