"""What Hugging Face's own library makes of the model index and the evaluation results."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from app.core.db import Database
from tests.api.helpers import DRAFT, NOBODY, PAPER, Api, refused
from tests.exports.helpers import exported, hostile_claim, measured, posted

hub = pytest.importorskip("huggingface_hub", reason="part of the extra `worker`")
cards = pytest.importorskip("huggingface_hub.repocard_data")
pytestmark = [pytest.mark.usefixtures("catalogue"), pytest.mark.worker]

INDEX: Final = f"/v1/papers/{PAPER}/export/model-index"
RESULTS: Final = f"/v1/papers/{PAPER}/export/eval-results"
TASK: Final = "dataset_id=nyu-mll/glue&task_id=mnli_matched"
MODEL: Final = "MoritzLaurer/DeBERTa-v3-large-mnli-fever-anli-ling-wanli"


def index(client: Api, address: str = INDEX) -> list[Any]:
    return list(yaml.safe_load(exported(client.get(address), "application/yaml"))["model-index"])


def card(client: Api, folder: Path) -> Any:  # noqa: ANN401  # huggingface_hub's
    """A model card with the export as its front matter, as huggingface_hub loads it from a file."""
    path = folder / "README.md"
    text = exported(client.get(INDEX), "application/yaml").decode()
    path.write_text(f"---\nlicense: mit\n{text}---\n# A model\n", encoding="utf-8", newline="")
    return hub.ModelCard.load(path)


def test_a_run_of_ours(client: Api, database: Database, tmp_path: Path) -> None:
    verdict = measured(client, database)
    name, (result,) = cards.model_index_to_eval_results(index(client))
    assert name == MODEL
    assert (result.task_type, result.dataset_type) == ("text-classification", "MNLI")
    assert (result.dataset_name, result.dataset_split) == ("MNLI (validation_matched)", "validation_matched")
    assert (result.metric_type, result.metric_name) == ("accuracy", "DeBERTa-v3-large, MNLI-m")
    assert result.metric_value == pytest.approx(100 * verdict["estimate"]["estimate"])
    assert result.metric_args["n"] == 300
    assert result.metric_args["score"] == pytest.approx(92.0)
    assert result.metric_args["status"] == verdict["status"]
    low, high = result.metric_args["interval_95"]
    assert low < result.metric_value < high
    assert (result.verified, result.verify_token, result.source_url) == (None, None, None)
    read = card(client, tmp_path)
    assert read.data.model_name == MODEL
    assert read.data.eval_results == [result]
    assert read.text.strip() == "# A model"


def test_every_claim_has_its_standing_verdict(client: Api, database: Database) -> None:
    measured(client, database)
    client.post_verdict(kind="PRE")
    claim = client.post_claim(row="Ours", reported_value="0.918", unit="fraction")["id"]
    posted(client)
    other = client.post_verdict(claim=claim)
    results = {entry["name"]: [result["metrics"][0]["args"] for result in entry["results"]] for entry in index(client)}
    assert [args["verdict"] for args in results["Ours"]] == [other["id"]]
    assert results["Ours"][0]["reported"] == 0.918
    assert len(results) == 2
    (only,) = index(client, f"{INDEX}?claim={claim}")
    assert only["results"][0]["metrics"][0]["value"] == pytest.approx(other["estimate"]["estimate"])
    (pre,) = index(client, f"{INDEX}?kind=PRE")
    assert len(pre["results"]) == 1


def test_hostile_texts_stay_texts(client: Api, tmp_path: Path) -> None:
    claim = hostile_claim(client)
    name = f"{claim['row']}, {claim['column']}"
    _, results = cards.model_index_to_eval_results(index(client))
    assert [result.metric_name for result in results] == [name]
    assert [entry["name"] for entry in index(client)] == [claim["row"]]
    read = card(client, tmp_path)
    assert read.data.eval_results[0].metric_name == name
    assert read.text.strip() == "# A model"


def test_evaluation_results(client: Api, database: Database) -> None:
    verdict = measured(client, database)
    for address in (f"{RESULTS}?{TASK}", f"/v1/verdicts/{verdict['id']}/export/eval-results?{TASK}"):
        document = yaml.safe_load(exported(client.get(address), "application/yaml"))
        (entry,) = hub.parse_eval_result_entries(document)
        assert (entry.dataset_id, entry.task_id) == ("nyu-mll/glue", "mnli_matched")
        assert entry.value == pytest.approx(100 * verdict["estimate"]["estimate"])
        assert entry.date == verdict["computed_at"]
        assert verdict["id"] in entry.notes
        assert "n=300" in entry.notes
        assert hub.eval_result_entries_to_yaml([entry]) == document  # nothing in it that the library does not know


def test_a_data_set_that_the_hub_does_not_know_has_to_be_named(client: Api, database: Database) -> None:
    measured(client, database)
    refused(client.get(RESULTS), 422, "dataset_unknown", "query.dataset_id")
    refused(client.get(f"{RESULTS}?dataset_id=a b"), 422, "validation_failed", "query.dataset_id")


def test_where_there_is_nothing_to_export(client: Api) -> None:
    refused(client.get(INDEX), 404, "no_verdict")
    refused(client.get("/v1/papers/2101.00001/export/model-index"), 404, "paper_not_found")
    refused(client.get(f"/v1/verdicts/{NOBODY}/export/model-index"), 404, "verdict_not_found")
    client.post_verdict()
    for question in (f"claim={NOBODY}", "kind=PRE"):
        for form in ("model-index", "eval-results", "ro-crate", "in-toto"):
            refused(client.get(f"/v1/papers/{PAPER}/export/{form}?{question}"), 404, "no_verdict")
    refused(client.get(f"/v1/papers/{PAPER}/export/pdf"), 422, "validation_failed", "path.format")
    refused(client.get(f"/v1/papers/{PAPER}v1/export/in-toto"), 422, "version_not_meant")


def test_a_draft_that_has_its_arxiv_id_leads_on(client: Api) -> None:
    assert client.patch(f"/v1/papers/{DRAFT}", json={"arxiv_id": "hep-th/9901001"}).status_code == 200
    moved = client.get(f"/v1/papers/{DRAFT}/export/model-index?kind=PRE")
    assert moved.status_code == 308
    assert moved.headers["location"] == "/v1/papers/hep-th/9901001/export/model-index?kind=PRE"
    refused(client.get(moved.headers["location"]), 404, "no_verdict")
