from pathlib import Path

import huggingface_hub.constants
import pytest

from app.protocol.driver import DataSpec, HubSource
from app.protocol.errors import DriverError
from tests.workers.hub_server import COMMIT, Hub, ask, running_hub
from tests.workers.split_files import data_spec, json_lines, nli_rows
from workers.datasets.load import load_split

pytestmark = pytest.mark.worker

_CONTENTS = json_lines(nli_rows(5))


@pytest.fixture
def spec() -> DataSpec:
    source = HubSource(hub="owner/toy", revision=COMMIT)
    plain = data_spec("dev/toy.jsonl", _CONTENTS, size=5)
    return plain.model_copy(update={"source": source, "file": "dev/toy.jsonl"})


def test_a_file_is_downloaded_once(spec: DataSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub({"datasets/owner/toy": {"dev/toy.jsonl": _CONTENTS, "other": b"x"}})
    with running_hub(hub, monkeypatch):
        assert len(load_split(spec, root=tmp_path, cache=tmp_path)) == 5
        assert any("resolve" in request for request in hub.requests)
        assert not any("other" in request for request in hub.requests)
        hub.requests.clear()
        hub.failing = True
        assert len(load_split(spec, root=tmp_path, cache=tmp_path)) == 5
        assert hub.requests == []


def test_a_repository_or_file_that_is_not_there(
    spec: DataSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for files in ({}, {"datasets/owner/toy": {"readme": b""}}):
        with running_hub(Hub(files), monkeypatch), pytest.raises(DriverError) as caught:
            load_split(spec, root=tmp_path, cache=tmp_path)
        assert (caught.value.code, caught.value.retryable) == ("dataset_missing", False)


def test_a_hub_that_fails_or_is_away(spec: DataSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_hub(Hub(failing=True), monkeypatch), pytest.raises(DriverError) as caught:
        load_split(spec, root=tmp_path, cache=tmp_path)
    assert (caught.value.code, caught.value.retryable) == ("hub_unreachable", True)
    ask(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(DriverError) as caught:
        load_split(spec, root=tmp_path, cache=tmp_path)
    assert (caught.value.code, caught.value.retryable) == ("hub_unreachable", True)
    said = (
        f"no copy of dev/toy.jsonl of the dataset owner/toy at {COMMIT} yet, and could not get one: http://127.0.0.1:9 "
    )
    assert said in caught.value.message
    assert "Error" not in caught.value.message


def test_offline_by_choice_is_not_worth_a_retry(
    spec: DataSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DriverError) as caught:
        load_split(spec, root=tmp_path, cache=tmp_path)
    assert (caught.value.code, caught.value.retryable) == ("hub_unreachable", False)
    assert "HF_HUB_OFFLINE" in caught.value.message


def test_what_the_hub_gives_is_checked_as_well(spec: DataSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub({"datasets/owner/toy": {"dev/toy.jsonl": _CONTENTS.replace(b"a", b"b")}})
    with running_hub(hub, monkeypatch), pytest.raises(DriverError) as caught:
        load_split(spec, root=tmp_path, cache=tmp_path)
    assert caught.value.code == "dataset_fingerprint_mismatch"
