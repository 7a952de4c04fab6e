"""What a service answers where more has to come before it: two runs, a file of claims, a webhook that was told."""

import csv
import io
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any, Final, cast

from pyarrow import parquet

from app.catalogue.load import load_catalogue
from app.core.db import Database
from app.verdicts.conclude import conclude_run
from tests.api.helpers import CATALOGUE, PAPER, SPLIT, Api, Json, counts_body, ok
from tests.events.running import wait_until
from tests.factories.runs import beat, facts, take
from tests.webhooks.receiver import Receiver

SEEDS: Final = "2004.13606"
"""The paper whose authors released the predictions of models that differ in their seed alone."""
SECRET: Final = f"whsec_{'MadeUpForTheDocumentation':0<43}="
ADDRESS: Final = "https://example.org/verdicts"


def load_seeds(database: Database, catalogue: Path) -> None:
    """Add the drivers of two seeds to the catalogue."""
    for name in (f"papers/{SEEDS}", f"drivers/{_slug(1)}", f"drivers/{_slug(2)}"):
        shutil.copyfile(CATALOGUE / f"{name}.toml", catalogue / f"{name}.toml")
    with database.unit_of_work() as session:
        load_catalogue(session, catalogue)


def ask_comparison(client: Api, database: Database) -> dict[str, Json]:
    """Of the two seeds' released predictions, on the whole split."""
    first, second = (_measure(client, database, seed) for seed in (1, 2))
    answer = ok(client.get(f"/v1/verdicts/{first}/compare/{second}?limit=2"))
    run = ok(client.get(f"/v1/verdicts/{first}"))["reproduction"]
    course = ok(client.get(f"/v1/reproductions/{run}/course"))
    return {"ComparisonRead": answer, "FlippedExamplePage": answer["flipped"], "CourseRead": course}


def ask_claims(client: Api) -> dict[str, Json]:
    """Of a file with a claim that is known and one that is new, and what the audit log says of it."""
    claims = [tomllib.loads((CATALOGUE / f"drivers/{_slug(seed)}.toml").read_text())["claim"] for seed in (1, 3)]
    file = io.StringIO()
    writer = csv.DictWriter(file, [name for name in claims[0] if name != "metric"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(claims)
    headers = {"Content-Type": "text/csv"}
    del client.headers["X-Request-Id"]  # the service gives one, as it does to most
    imported = ok(client.post(f"/v1/papers/{SEEDS}/claims:import", content=file.getvalue(), headers=headers))
    return {"ClaimsImported": imported, "AuditPage": ok(client.get("/v1/audit?limit=1"))}


def ask_webhooks(client: Api, receiver: Receiver) -> dict[str, Json]:
    """Of a webhook that was told of one verdict. Its secret and its address are replaced by made-up ones."""
    body = {"url": receiver.url, "events": ["verdict.issued"], "description": "Our model zoo."}
    made = ok(client.post("/v1/webhooks", json=body), 201)
    path = f"/v1/webhooks/{made['id']}"
    ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=counts_body(kind="PRE")), 201)
    wait_until(lambda: [one["state"] for one in _deliveries(client, path)["items"]] == ["delivered"])
    told = _deliveries(client, path)
    answered = {
        "WebhookCreated": made,
        "WebhookRead": ok(client.get(path)),
        "WebhookPage": ok(client.get("/v1/webhooks")),
        "DeliveryPage": told,
        "DeliveryRead": told["items"][0],
        "ReplayRead": ok(client.post(f"{path}/replay", json={"since": made["created_at"]}), 202),
    }
    text = json.dumps(answered).replace(made["secret"], SECRET).replace(receiver.url, ADDRESS)
    return cast("dict[str, Json]", json.loads(text))


def _slug(seed: int) -> str:
    return f"bert-base-mnli-seed{seed:02}-matched"


def _deliveries(client: Api, path: str) -> Json:
    return ok(client.get(f"{path}/deliveries"))


def _measure(client: Api, database: Database, seed: int) -> str:
    """The verdict of a run of the seed's driver: a worker's side of it without the worker, which is another install."""
    ok(client.post(f"/v1/papers/{SEEDS}/reproductions", json={"driver": _slug(seed)}), 202)
    lease = take(database)
    released = _released(seed)
    for number in (1000, len(released)):
        beat(database, lease, released[:number])
    stated = facts(lease.spec.data.size, list(SPLIT.values()))
    stated["data"]["fingerprint"] = lease.spec.data.fingerprint
    with database.unit_of_work() as session:
        return str(conclude_run(session, lease, stated).id)


def _released(seed: int) -> list[dict[str, Any]]:
    data, wanted = CATALOGUE / "data", [("set", "=", "matched"), ("seed", "=", seed)]
    released = parquet.read_table(data / "bert_base_instability.parquet", columns=["idx", "pred"], filters=wanted)
    split = parquet.read_table(data / "mnli_validation_matched.parquet", columns=["idx", "label"])
    predicted = dict(zip(*released.to_pydict().values(), strict=True))
    items = zip(*split.to_pydict().values(), strict=True)
    return [
        {"row": row, "item_id": str(item), "gold": gold, "predicted": predicted[item], "logits": None}
        for row, (item, gold) in enumerate(items)
    ]
