"""The main job, as the README's command runs it."""

import json
import shlex
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.docs.blocks import block, is_shown
from tests.end_to_end.conftest import PATIENCE_S, Service, environment, processes

pytestmark = [pytest.mark.worker, pytest.mark.timeout(1200)]

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "paper-2111.09543.json"
MINILM = "/v1/papers/draft:minilm-l6-nli-adapter"


def test_the_first_command_prints_what_the_quick_start_shows(service: Service) -> None:
    printed = service.output.read_text()
    shown = block("docs/quick-start.md", "deploy/up.sh").shows
    assert shown is not None
    shown = shown.replace("http://127.0.0.1:8000", service.base)
    assert is_shown(shown, printed), printed
    assert printed.count("reproduced") == 21


def test_the_command_that_it_prints_makes_a_key_in_another_terminal(service: Service) -> None:
    (command,) = (line for line in service.output.read_text().splitlines() if " keys create " in line)
    made = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True, env=environment())
    assert made.stdout.startswith("pv_")


def test_nobody_waits_for_what_decides_to_be_loaded(service: Service) -> None:
    """Half a second after it is ready the API has it, although nothing was posted yet."""
    (api,) = (pid for pid, line in processes(service.data_dir).items() if " api " in line)
    deadline = time.monotonic() + PATIENCE_S
    while "scipy/stats/" not in Path(f"/proc/{api}/maps").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_up_re_scores_the_released_predictions(service: Service) -> None:
    claims = httpx.get(f"{service.base}/v1/papers/2004.13606/claims?limit=200").json()["items"]
    claim = next(one for one in claims if one["drivers"] == ["bert-base-mnli-seed01-matched"])
    (verdict,) = httpx.get(f"{service.base}/v1/papers/2004.13606/verdicts?claim={claim['id']}").json()["items"]
    assert verdict["status"] == "reproduced"
    assert verdict["score"] == 8328 / 9815
    assert verdict["confidence"] == 0.85
    assert verdict["protocol_axes"]["model"] == "released_predictions"
    assert verdict["agent_version"] == "v0.1.0-bert-base-mnli-seed01-matched"


def test_the_model_card_is_re_measured_on_every_example(service: Service) -> None:
    """The full run: every prediction of the shipped adapter on MNLI matched, and what the card says about it."""
    (run,) = httpx.get(f"{service.base}/v1/reproductions?paper=draft:minilm-l6-nli-adapter").json()["items"]
    assert run["error"] is None
    assert (run["state"], run["progress"]) == ("succeeded", {"done": 9815, "total": 9815, "correct": 6908})

    document = httpx.get(f"{service.base}{MINILM}").json()
    verdict = document["verdicts"]["pre"]
    assert document["verdicts"]["post"] is None
    assert document["verdict"] == verdict
    assert verdict["id"] == run["verdict_id"]
    assert (verdict["status"], verdict["score"], verdict["confidence"]) == ("reproduced", 6908 / 9815, 1.0)
    assert (verdict["protocol_match"], verdict["kind"], verdict["is_current"]) == ("exact", "PRE", True)

    evidence = httpx.get(f"{service.base}/v1/verdicts/{verdict['id']}/evidence").json()
    assert evidence["predictions"] == 9815
    confusion = evidence["confusion"]
    assert sum(confusion[i][i] for i in range(3)) == 6908
    assert [sum(row) for row in confusion] == [3479, 3123, 3213]
    assert [round(confusion[i][i] / sum(confusion[i]), 4) for i in range(3)] == [0.7206, 0.6888, 0.7003]
    facts = evidence["facts"]
    assert facts["environment"]["torch"]
    assert facts["data"]["fingerprint"] == evidence["driver"]["data"]["fingerprint"]

    lines = httpx.get(f"{service.base}/v1/verdicts/{verdict['id']}/predictions").text.splitlines()
    assert len(lines) == 9815
    assert sum(json.loads(line)["correct"] for line in lines) == 6908


def test_a_second_run_gives_the_same_bits_and_supersedes_the_first(service: Service) -> None:
    body = {"driver": "minilm-mnli-full", "kind": "POST", "slice_size": 300}
    bits = []
    for _ in range(2):
        asked = service.post(f"{MINILM}/reproductions", body)
        assert asked.status_code == 202
        assert asked.headers["location"] == f"/v1/reproductions/{asked.json()['id']}"
        run = service.until(asked.headers["location"], "done")
        assert run["state"] == "succeeded"
        bits.append(httpx.get(f"{service.base}/v1/verdicts/{run['verdict_id']}/predictions").content)
    assert bits[0] == bits[1]
    history = httpx.get(f"{service.base}{MINILM}/verdicts?kind=POST").json()["items"]
    assert [one["sequence"] for one in history] == [2, 1]
    assert [one["is_current"] for one in history] == [True, False]
    assert history[1]["superseded_by"] == history[0]["id"]
    assert history[0]["supersedes"] == history[1]["id"]
    assert history[0]["protocol_axes"]["data"] == "probability_slice"


def test_the_golden_document_comes_in_and_goes_out_byte_for_byte(service: Service) -> None:
    done = service.cli("import", str(GOLDEN))
    assert (done.returncode, done.stderr) == (0, "")
    compact = json.dumps(json.loads(GOLDEN.read_text()), ensure_ascii=False, separators=(",", ":")).encode()
    answer = httpx.get(f"{service.base}/v1/papers/2111.09543")
    assert answer.content == compact
    assert answer.headers["content-type"] == "application/json"
    assert service.cli("show", "2111.09543", "--json").stdout.rstrip("\n").encode() == compact


def test_a_driver_of_the_hub_fails_with_a_stable_code_and_no_verdict(service: Service) -> None:
    asked = service.post("/v1/papers/2111.09543/reproductions", {"kind": "PRE"})
    run = service.until(asked.headers["location"], "done", 600)
    assert run["state"] == "failed"
    assert run["error"]["code"] in {"hub_unreachable", "checkpoint_unpinned"}
    assert run["verdict_id"] is None


def test_a_running_reproduction_is_cancelled_within_a_batch(service: Service) -> None:
    asked = service.post(f"{MINILM}/reproductions", {"driver": "minilm-mnli-full"})
    path = asked.headers["location"]
    while httpx.get(service.base + path).json()["progress"]["done"] == 0:
        assert not httpx.get(service.base + path).json()["done"]
    assert service.post(f"{path}/cancel").json()["cancel_requested"]
    run = service.until(path, "done")
    assert run["state"] == "cancelled"
    assert run["progress"]["done"] < 9815
    assert run["verdict_id"] is None
