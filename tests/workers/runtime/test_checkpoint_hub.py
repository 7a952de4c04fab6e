from pathlib import Path

import pytest

from app.protocol.driver import HubSource
from app.protocol.errors import DriverError
from tests.workers.hub_server import COMMIT, Hub, folder_files, running_hub
from workers.runtime.checkpoint import inspect_checkpoint
from workers.runtime.sources import locate_checkpoint

pytestmark = pytest.mark.worker

_SOURCE = HubSource(hub="owner/model", revision=COMMIT)


def test_a_checkpoint_is_downloaded_once_and_without_pickles(
    deberta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extras = {"pytorch_model.bin": b"\x80", "modeling_evil.py": b"", "onnx/model.safetensors": b"", "vocab.txt": b"x"}
    hub = Hub({"owner/model": folder_files(deberta) | extras})
    with running_hub(hub, monkeypatch):
        folder = locate_checkpoint(_SOURCE, root=tmp_path, cache=tmp_path)
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        expected = {path.name for path in deberta.iterdir()} | {"vocab.txt"}
        assert {name for name in files if not name.startswith(".cache")} == expected
        assert not any(path.is_symlink() for path in folder.rglob("*"))
        assert inspect_checkpoint(folder, weights="model.safetensors", pinned={})
        hub.requests.clear()
        hub.failing = True
        assert locate_checkpoint(_SOURCE, root=tmp_path, cache=tmp_path) == folder
        assert hub.requests == []


def test_an_interrupted_download_is_taken_up_again(
    deberta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub({"owner/model": folder_files(deberta)}, failing=True)
    with running_hub(hub, monkeypatch):
        with pytest.raises(DriverError) as caught:
            locate_checkpoint(_SOURCE, root=tmp_path, cache=tmp_path)
        assert (caught.value.code, caught.value.retryable) == ("hub_unreachable", True)
        hub.failing = False
        folder = locate_checkpoint(_SOURCE, root=tmp_path, cache=tmp_path)
        assert inspect_checkpoint(folder, weights="model.safetensors", pinned={})


def test_a_repository_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_hub(Hub(), monkeypatch), pytest.raises(DriverError) as caught:
        locate_checkpoint(_SOURCE, root=tmp_path, cache=tmp_path)
    assert (caught.value.code, caught.value.retryable) == ("checkpoint_missing", False)
