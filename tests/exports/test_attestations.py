"""The attestation of a verdict: what it states, who signed it, and what a reader finds who checks it offline."""

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import FastAPI

from app.core.db import Database
from app.exports.signing import (
    SignatureError,
    SigningKey,
    SigningKeyError,
    create_key,
    read_public_key,
)
from app.exports.verify import AttestationError, DigestMismatchError, RecomputationError, verify
from app.verdicts.conclude import conclude_run
from tests.api.helpers import PAPER, Api, Json, refused
from tests.exports.helpers import FACTS, exported, hostile_claim, measured, posted
from tests.factories.drivers import SIZE, make_subject
from tests.factories.runs import ask, beat, predictions, take

pytestmark = pytest.mark.usefixtures("catalogue")
STATEMENT: Final = "application/vnd.in-toto+json"
ENVELOPE: Final = "application/vnd.dsse.envelope.v1+json"
KEY: Final = "/.well-known/paper-verdicts-signing-key.pem"
DIGESTS: Final[dict[str, str]] = {
    "data/mnli_validation_matched.parquet": "e" * 64,
    "weights/model.safetensors": "c" * 64,
    "tokenizer/tokenizer.json": "b" * 64,
}


def attestation(client: Api, verdict: Json, media_type: str, folder: Path) -> Path:
    """The attestation as a file, with the predictions beside it, as the documentation says."""
    address = f"/v1/verdicts/{verdict['id']}"
    path = folder / "verdict.intoto.json"
    path.write_bytes(exported(client.get(f"{address}/export/in-toto"), media_type))
    (folder / "predictions.jsonl").write_bytes(client.get(f"{address}/predictions").content)
    return path


def changed(path: Path, change: Callable[[Json], object], name: str = "forged.json") -> Path:
    """Another file with the same statement, but for a change."""
    document = json.loads(path.read_bytes())
    change(document)
    forged = path.with_name(name)
    forged.write_text(json.dumps(document))
    return forged


@pytest.fixture
def signing(app: FastAPI, tmp_path: Path) -> Path:
    """The service signs; the file of the public key."""
    app.state.signing_key = create_key(tmp_path / "key.pem")
    return tmp_path / "key.pem.pub"


def test_a_signed_attestation_of_a_run(client: Api, database: Database, signing: Path, tmp_path: Path) -> None:
    verdict = measured(client, database)
    path = attestation(client, verdict, ENVELOPE, tmp_path)
    envelope = json.loads(path.read_bytes())
    payload = base64.b64decode(envelope["payload"])
    # As the specification of DSSE has it, reckoned here without the library that signed.
    signed = b"DSSEv1 %d %s %d %s" % (len(STATEMENT), STATEMENT.encode(), len(payload), payload)
    key = load_pem_public_key(client.get(KEY).content)
    assert isinstance(key, Ed25519PublicKey)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:paper-verdicts:predicate:verdict:v1"
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    predictions = (tmp_path / "predictions.jsonl").read_bytes()
    evidence = client.get(f"/v1/verdicts/{verdict['id']}/evidence").content
    served = {"predictions.jsonl": sha256(predictions).hexdigest(), "evidence.json": sha256(evidence).hexdigest()}
    assert subjects == served | DIGESTS
    predicate = statement["predicate"]
    assert predicate["signed"] is True
    assert predicate["claim"]["reported_value"] == "91.8"
    assert (predicate["measurement"]["n"], predicate["measurement"]["correct"]) == (300, 276)
    assert predicate["decision"]["interval_95"] == verdict["estimate"]["interval_95"]
    assert predicate["decision"]["rule_version"] == "1"
    assert predicate["protocol_axes"] == verdict["protocol_axes"]
    assert predicate["environment"]["environment"] == FACTS["environment"]
    assert predicate["verdict"]["status"] == verdict["status"]

    found = verify(path, read_public_key(signing))
    assert found.recounted
    assert found.files == ("predictions.jsonl",)
    assert found.signed_by == envelope["signatures"][0]["keyid"]
    again = client.get(f"/v1/papers/{PAPER}/export/in-toto")
    assert exported(again, ENVELOPE) == path.read_bytes()
    held = {"If-None-Match": again.headers["etag"]}
    assert client.get(f"/v1/papers/{PAPER}/export/in-toto", headers=held).status_code == 304


@pytest.mark.parametrize("metric", ["f1", "mcc"])
def test_an_attestation_of_posted_evidence_on_another_metric_is_decided_again(
    metric: str, client: Api, tmp_path: Path
) -> None:
    claim = client.post_claim(row=metric, reported_metric=metric)["id"]
    wanted = {"claim": claim, **({"positive_label": "neutral"} if metric == "f1" else {})}
    verdict = posted(client, slice_kind="simple", wanted=wanted)
    path = attestation(client, verdict, STATEMENT, tmp_path)
    assert verify(path, None).recounted
    forged = changed(path, lambda one: one["predicate"]["decision"].update(p_inside=0.5))
    with pytest.raises(RecomputationError, match="p_inside"):
        verify(forged, None)


def test_what_is_changed_after_the_signature_is_found_out(client: Api, signing: Path, tmp_path: Path) -> None:
    path = attestation(client, posted(client), ENVELOPE, tmp_path)
    key = read_public_key(signing)

    def raise_confidence(envelope: Json) -> None:
        statement = json.loads(base64.b64decode(envelope["payload"]))
        statement["predicate"]["verdict"]["confidence"] = 1.0
        envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()

    forgeries: dict[str, Callable[[Json], object]] = {
        "payload": raise_confidence,
        "no signature": lambda envelope: envelope["signatures"].clear(),
        "other signature": lambda envelope: envelope["signatures"][0].update(sig="AAAA"),
    }
    for name, change in forgeries.items():
        with pytest.raises(SignatureError):
            verify(changed(path, change), key)
        assert name
    other = create_key(tmp_path / "other.pem")
    with pytest.raises(SignatureError, match=r"no signature of it is of the key"):
        verify(path, read_public_key(tmp_path / "other.pem.pub"))
    assert other.key_id != key.keyid
    with pytest.raises(AttestationError):
        verify(changed(path, lambda envelope: envelope.update(payloadType="text/plain")), key)
    bare = tmp_path / "bare.json"
    bare.write_bytes(base64.b64decode(json.loads(path.read_bytes())["payload"]))
    with pytest.raises(SignatureError, match="nobody has signed"):
        verify(bare, key)


NEW_ITEMS: Final = {"estimand": "superpopulation"}
"""Of a whole split's own items everything is known, and nothing has to be drawn."""


@pytest.mark.parametrize(
    "driver",
    [
        {"metric": "f1_macro", "claim": {"metric": "f1_macro"}, "decision": NEW_ITEMS},
        {"metric": "f1", "claim": {"metric": "f1"}, "positive_label": "neutral", "decision": NEW_ITEMS},
        {
            "slice": {"kind": "simple", "size": SIZE},
            "protocol": {"data": "probability_slice"},
            "decision": {"margin": 0.3, "early_stopping": True},
        },
    ],
    ids=["f1_macro", "f1", "early stopping"],
)
def test_every_kind_of_decision_is_made_again(client: Api, database: Database, tmp_path: Path, driver: Json) -> None:
    ask(database, make_subject(database, **driver))
    lease = take(database)
    beat(database, lease, predictions(wrong=[0, 4, 7]))
    facts = {"data": {"label_counts": [4, 4, 4]}, "slice": {"size": SIZE}, "stopping": {"examined": SIZE}}
    with database.unit_of_work() as session:
        verdict_id = conclude_run(session, lease, facts).id
    path = attestation(client, {"id": str(verdict_id)}, STATEMENT, tmp_path)
    assert verify(path, None).recounted
    lies = [set_in("decision", "interval_95", to=[0.1, 0.2]), set_in("decision", "early_stopping", to=False)]
    if "metric" in driver:
        lies[1] = set_in("decision", "bootstrap_seed", to=7)
    for lie in lies:
        with pytest.raises(RecomputationError):
            verify(changed(path, lie), None)


def test_without_a_key_it_is_unsigned_and_says_so(client: Api, database: Database, tmp_path: Path) -> None:
    refused(client.get(KEY), 404, "signing_key_not_configured")
    path = attestation(client, measured(client, database), STATEMENT, tmp_path)
    assert json.loads(path.read_bytes())["predicate"]["signed"] is False
    found = verify(path, None)
    assert (found.signed_by, found.recounted) == (None, True)


def test_a_file_that_is_another_is_found_out(client: Api, tmp_path: Path) -> None:
    path = attestation(client, posted(client), STATEMENT, tmp_path)
    evidence = tmp_path / "evidence"
    evidence.write_bytes(client.get(f"/v1/verdicts/{verify(path, None).predicate.verdict.id}/evidence").content)
    assert verify(path, None, files=[evidence]).files == ("evidence.json", "predictions.jsonl")
    evidence.write_bytes(evidence.read_bytes() + b" ")
    with pytest.raises(DigestMismatchError, match="none of the files"):
        verify(path, None, files=[evidence])
    predictions = tmp_path / "predictions.jsonl"
    text = predictions.read_text()
    predictions.write_text(text.replace("item-7", "item-8"))
    with pytest.raises(DigestMismatchError, match=r"predictions\.jsonl is not the file"):
        verify(path, None)
    predictions.unlink()
    with pytest.raises(FileNotFoundError):
        verify(path, None)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(text)
    assert verify(path, None, predictions=elsewhere).recounted


def set_in(*path: str, to: Any) -> Callable[[Json], None]:  # noqa: ANN401  # any JSON
    def change(statement: Json) -> None:
        place = statement["predicate"]
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = to

    return change


OTHER_PREDICATE: Final = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "x", "digest": {}}],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {},
}
LIES: Final = {
    "status": set_in("verdict", "status", to="reproduced"),
    "confidence": set_in("verdict", "confidence", to=0.99),
    "p_inside": set_in("decision", "p_inside", to=0.5),
    "interval_95": set_in("decision", "interval_95", to=[0.1, 0.2]),
    "estimate": set_in("decision", "estimate", to=0.9),
    "count": set_in("measurement", "n", to=299),
    "margin": set_in("claim", "reported_value", to="91.80"),
    "ceiling": set_in("protocol_match", to="exact"),
    "confusion matrix": set_in("measurement", "confusion", to=[[100, 0, 0], [0, 100, 0], [0, 0, 100]]),
    "cannot be": set_in("measurement", "split_label_counts", to={"entailment": 1, "neutral": 1, "contradiction": 1}),
    "estimand": set_in("decision", "estimand", to="superpopulation"),
    "delta": set_in("decision", "delta", to=0.03),
}


def test_a_statement_that_lies_is_found_out_by_deciding_again(client: Api, tmp_path: Path) -> None:
    path = attestation(client, posted(client), STATEMENT, tmp_path)
    assert verify(path, None).predicate.verdict.status == "inconclusive"
    for name, lie in LIES.items():
        with pytest.raises(RecomputationError) as caught:
            verify(changed(path, lie), None)
        assert name in str(caught.value) or name in {"estimand", "delta"}, name
    with pytest.raises(AttestationError, match="version 2 of the rule"):
        verify(changed(path, set_in("decision", "rule_version", to="2")), None)


def test_predictions_that_say_otherwise_are_found_out_even_if_their_digest_is_attested(
    client: Api, tmp_path: Path
) -> None:
    path = attestation(client, posted(client), STATEMENT, tmp_path)
    predictions = tmp_path / "predictions.jsonl"
    lines = predictions.read_text().splitlines(keepends=True)
    wrong = lines[0].replace('"correct":false', '"correct":true')
    swapped = [json.dumps(json.loads(lines[0]) | {"predicted": "entailment", "correct": True}) + "\n", *lines[1:]]
    no_text = json.dumps({"row": 0, "gold": [], "predicted": [], "correct": True}) + "\n"
    other = [lines[1:], [*lines, lines[-1]], [wrong, *lines[1:]], swapped, ["[]\n"], ["{" * 100_000], [no_text]]
    for forged in other:
        predictions.write_text("".join(forged))
        digest = sha256(predictions.read_bytes()).hexdigest()

        def attest(statement: Json, digest: str = digest) -> None:
            for one in statement["subject"]:
                if one["name"] == "predictions.jsonl":
                    one["digest"]["sha256"] = digest

        with pytest.raises(RecomputationError):
            verify(changed(path, attest), None)


def test_counts_and_hostile_texts_need_no_second_file(client: Api, tmp_path: Path) -> None:
    claim = hostile_claim(client)
    path = tmp_path / "one.json"
    path.write_bytes(exported(client.get(f"/v1/papers/{PAPER}/export/in-toto?claim={claim['id']}"), STATEMENT))
    found = verify(path, None)
    assert (found.recounted, found.files) == (False, ())
    assert found.predicate.claim.quoted_text == claim["quoted_text"]
    assert (found.predicate.measurement.n, found.predicate.measurement.correct) == (4998, 4565)


def test_what_is_no_attestation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in (
        "",
        "[]",
        "{}",
        "nonsense",
        "[" * 100_000,
        '{"payload": 1}',
        '{"payload": "!", "payloadType": "application/vnd.in-toto+json", "signatures": []}',
        '{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [1]}',
        '{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{"keyid": "", "sig": "é"}]}',
        json.dumps(OTHER_PREDICATE),
    ):
        path.write_text(text)
        with pytest.raises(AttestationError):
            verify(path, None)


def test_keys(tmp_path: Path) -> None:
    made = create_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    assert (
        SigningKey.read(tmp_path / "key.pem").key_id == made.key_id == read_public_key(tmp_path / "key.pem.pub").keyid
    )
    with pytest.raises(SigningKeyError, match="exists"):
        create_key(tmp_path / "key.pem")
    (tmp_path / "other.pem").write_text("nonsense")
    for read in (SigningKey.read, read_public_key):
        with pytest.raises(SigningKeyError, match="PEM"):
            read(tmp_path / "other.pem")
        with pytest.raises(SigningKeyError, match="cannot be read"):
            read(tmp_path / "nothing.pem")
    with pytest.raises(SigningKeyError):
        read_public_key(tmp_path / "key.pem")
