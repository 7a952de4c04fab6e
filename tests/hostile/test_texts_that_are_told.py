"""Texts that mean something to whoever reads a stream or a message are told as they are, in one event each."""

import json
from collections.abc import Callable

import httpx

from app.access.scopes import Scope
from tests.api.helpers import PAPER, claim_body, counts_body, paper_body
from tests.events.running import Running, data_of
from tests.hostile.texts import INJECTIONS
from tests.webhooks.conftest import (
    client_of,
    events_settings,
    receiver,
    service,
    settings,
    webhooks,
)
from tests.webhooks.receiver import Receiver

__all__ = ["client_of", "events_settings", "receiver", "service", "settings", "webhooks"]

FRAMES = ("\n\nevent: forged\ndata: {}\n\n", "\r\rid: 0\rretry: 1\r\r", "data: [DONE]")
"""What would end an event, or begin another, in a stream that did not escape it."""


def test_streams_and_webhooks_tell_hostile_texts_as_they_are(
    service: Running, client_of: Callable[..., httpx.Client], receiver: Receiver
) -> None:
    client = client_of(*Scope)
    hook = client.post("/v1/webhooks", json={"url": receiver.url, "events": ["verdict.issued"]}).json()
    everything = " ".join((*FRAMES, *(one for one in INJECTIONS if one.strip())))
    assert client.put(f"/v1/papers/{PAPER}", json=paper_body(title=everything[:900])).status_code == 201
    words = [everything[start : start + 190].strip() for start in range(0, len(everything), 190)]
    with service.open() as stream:
        service.wait_for_streams(1)
        told = []
        for word in words:
            claim = client.post(
                f"/v1/papers/{PAPER}/claims",
                json=claim_body(section=word, row=word, column=word, quoted_text=everything, notes=everything),
            )
            assert claim.status_code == 201, claim.text
            verdict = client.post(f"/v1/papers/{PAPER}/verdicts", json=counts_body(claim=claim.json()["id"]))
            assert verdict.status_code == 201, verdict.text
            message = stream.lasting()
            assert message.event == "verdict.issued"
            told.append(data_of(message))
            assert verdict.json()["claim_citation"]["row"] == word
            assert told[-1] == {"paper": PAPER, "verdict": client.get(verdict.headers["location"]).json()}
        assert stream.retry_ms == 2000
    receiver.wait_for(len(words))
    messages = receiver.verified(hook["secret"])
    assert messages == [json.loads(one.body) for one in receiver.received]
    assert [json.loads(one.body)["data"] for one in receiver.received] == told
