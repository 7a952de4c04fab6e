"""`verdicts webhooks`."""

import json

from app.cli.webhooks import Event
from app.webhooks.schemas import WebhookEvent
from tests.cli.test_commands import Run, run

__all__ = ["run"]


def test_a_webhook_is_registered_listed_and_removed(run: Run) -> None:
    refused = run("webhooks", "register", "http://127.0.0.1:9/hook")
    assert (refused.returncode, "https" in refused.stderr) == (1, True)
    assert run("webhooks", "register", "https://example.org/ a").returncode == 1
    private = {"VERDICTS_WEBHOOKS__ALLOW_HTTP": "true", "VERDICTS_WEBHOOKS__ALLOW_PRIVATE": "true"}
    made = run("webhooks", "register", "http://127.0.0.1:9/hook", "--event", "verdict.issued", **private)
    assert made.stdout.startswith("whsec_")
    assert "only time" in made.stderr
    (entry,) = json.loads(run("webhooks", "list", "--json").stdout)["items"]
    assert (entry["owner"], entry["events"]) == (None, ["verdict.issued"])
    assert "http://127.0.0.1:9/hook" in run("webhooks", "list").stdout
    assert run("webhooks", "remove", entry["id"]).stdout == f"{entry['id']} is removed\n"
    assert run("webhooks", "remove", entry["id"]).returncode == 3
    (last, *_) = json.loads(run("audit", "--json").stdout)["items"]
    assert (last["action"], last["operation"]) == ("webhook.removed", "verdicts webhooks remove")


def test_the_command_knows_the_events_that_there_are() -> None:
    assert [one.value for one in Event] == [one.value for one in WebhookEvent]
