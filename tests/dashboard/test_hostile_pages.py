"""Texts that mean something to a browser are shown as they stand, on every page that shows them."""

from app.core.db import Database
from tests.api.helpers import PAPER, Api, ok
from tests.dashboard.reading import checked
from tests.factories.drivers import make_subject
from tests.factories.runs import ask
from tests.hostile.texts import INJECTIONS


def test_hostile_texts_stay_texts(client: Api) -> None:
    everything = " ".join(one for one in INJECTIONS if one.strip())
    client.put_paper(title=everything[:900], abstract=everything, venue=everything[:900])
    words = dict.fromkeys(("section", "row", "column"), everything[:190])
    client.post_claim(**words, quoted_text=everything, notes=everything)
    labels = ["<script>alert(1)</script>", '"><svg onload=alert(1)>', "&lt;b&gt;"]
    rows = [
        {"id": f"{one[:150]}-{i}", "gold": labels[i % 3], "predicted": labels[(i // 2) % 3]}
        for i, one in enumerate(INJECTIONS)
    ]
    evidence = {
        "labels": labels,
        "split_label_counts": dict.fromkeys(labels, 3000),
        "predictions": rows,
        "environment": {"<i>": everything[:1000]},
    }
    axes = {"model": "proxy", "data": "probability_slice", "metric": "same", "inference": "unknown"}
    body = {"agent_version": "v1.0.0-agent", "protocol": axes, "evidence": evidence}
    verdict = ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=body), 201)["id"]
    for path in (
        "/",
        f"/papers/{PAPER}",
        f"/papers/{PAPER}/reproduce",
        f"/verdicts/{verdict}",
        f"/verdicts/{verdict}/examples?show=all",
        f"/compare/{verdict}/{verdict}",
    ):
        page = checked(client.get(path))
        scripts = [one.get("src") for one in page.iter("script")]
        assert all(str(address).startswith("/static/") for address in scripts)
        assert not [one for one in page.iter() if one.get("onload") is not None]
    for text in INJECTIONS:
        assert checked(client.get("/", params={"q": text.replace("\0", "")[:200], "venue": text})) is not None
        assert checked(client.get(f"/verdicts/{verdict}/examples", params={"q": text, "gold": text})) is not None


def test_what_a_driver_says_stays_text(client: Api, database: Database) -> None:
    hostile = "<script>alert(1)</script>"
    subject = make_subject(database, description=hostile, claim={"row": hostile}, data={"name": hostile})
    run = ask(database, subject)
    for path in ("/drivers", f"/drivers/{subject.slug}", "/queue", f"/reproductions/{run}"):
        page = checked(client.get(path))
        assert all(one.get("src") for one in page.iter("script"))
