"""Look a checkpoint folder over before anything loads it: safetensors only, nothing that runs code, digests as pinned.

A checkpoint is someone else's data. Pickles are never opened; a configuration that asks for code, for kernels or for
another loader is refused; a file that is a link out of the folder is refused; what is left is hashed, so that the
evidence says which bytes made the predictions.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.protocol.errors import DriverError
from workers.runtime.digests import file_identity, file_sha256, hash_soon
from workers.runtime.safetensors_header import check_header

_MAX_CONFIG_BYTES: Final = 4 << 20
_PICKLES: Final = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".npy", ".npz"})
_RUNS_CODE: Final = frozenset({"auto_map", "custom_pipelines", "megatron_config", "use_kernels", "kernel_config"})
_CONFIGS: Final = frozenset({"config.json", "tokenizer_config.json", "adapter_config.json", "generation_config.json"})
_OTHER_LOADER: Final = ("quantization_config", "compression_config")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that may be loaded: its configuration files, its weight files' digests (SHA-256), each by file name."""

    folder: Path
    configs: Mapping[str, Mapping[str, Any]]
    weights_sha256: Mapping[str, str]
    identity: tuple[tuple[str, int, int, int], ...]
    """Changes when any file of the folder does; what a warm model is kept under."""


class Digests(Mapping[str, str]):
    """SHA-256 of files by name. They are hashed in the background: the names are there at once, the first value waits.

    Raises DriverError `checkpoint_digest_mismatch` there, unless all are as pinned.
    """

    def __init__(self, files: Mapping[str, Path], pinned: Mapping[str, str]) -> None:
        self._files, self._pinned = files, pinned
        hash_soon(files.values())

    def __getitem__(self, name: str) -> str:
        """The digest of the file `name`."""
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._files)

    def __len__(self) -> int:
        """How many files there are."""
        return len(self._files)

    def _all(self) -> dict[str, str]:
        found = {name: file_sha256(path) for name, path in self._files.items()}
        _check_pinned(found, self._pinned)
        return found


def inspect_checkpoint(
    folder: Path,
    *,
    weights: str,
    configs: Sequence[str] = ("config.json",),
    pinned: Mapping[str, str],
    wait: bool = True,
) -> Checkpoint:
    """Check the folder whose weights are `weights` (or its shards, by `<weights>.index.json`).

    `configs` are the configuration files it must have; `pinned` are the expected digests by file name. Without `wait`
    the digests come later, as Digests has it: nothing that was loaded may be used before they did.
    Raises DriverError: `checkpoint_missing`, `checkpoint_unsafe`, `checkpoint_unsupported`, `checkpoint_corrupt`,
    `checkpoint_digest_mismatch`.
    """
    files = _plain_files(folder)
    for name in configs:
        if name not in files:
            raise DriverError(code="checkpoint_missing", message=f"The checkpoint folder {folder.name} has no {name}.")
    settings = {name: _read_json(files[name]) for name in sorted(_CONFIGS) if name in files}
    for name, setting in settings.items():
        _refuse_code(name, setting)
    names = _weight_names(folder, files, weights)
    for name in names:
        _check_weights(files[name])
    digests: Mapping[str, str] = Digests({name: files[name] for name in names}, pinned)
    if wait:
        digests = dict(digests)
    return Checkpoint(folder, settings, digests, tuple(file_identity(path) for path in files.values()))


def hash_weights_soon(folder: Path, weights: str) -> None:
    """Begin to hash the weight files in the background; whatever is wrong with the folder is said by the inspection."""
    with suppress(DriverError, OSError):
        files = _plain_files(folder)
        hash_soon(files[name] for name in _weight_names(folder, files, weights))


def _plain_files(folder: Path) -> dict[str, Path]:
    files = {}
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and not path.resolve().is_relative_to(folder):
            raise DriverError(
                code="checkpoint_unsafe",
                message=f"{path.name} in the checkpoint folder {folder.name} is a link out of it. Copy the file there.",
            )
        if path.is_file():
            files[path.name] = path
    return files


def _read_json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise _corrupt(path, problem=f"it is larger than {_MAX_CONFIG_BYTES} bytes")
    try:
        content = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, problem=str(error)) from error
    if not isinstance(content, dict):
        raise _corrupt(path, problem="it is not a JSON object")
    return content


def _refuse_code(name: str, setting: Mapping[str, Any]) -> None:
    for key, value in _entries(setting):
        if value in (None, False, {}, []):
            continue
        if key in _RUNS_CODE or _fetches_code(key, str(value)):
            raise DriverError(
                code="checkpoint_unsafe",
                message=f"{name} asks for code of its own to be run ({key}). Such checkpoints are not loaded.",
            )
        if key in _OTHER_LOADER:
            raise DriverError(
                code="checkpoint_unsupported", message=f"{name} is of a quantised checkpoint ({key}); none is measured."
            )


def _fetches_code(key: str, value: str) -> bool:
    # `attn_implementation` and its like may name a repository to fetch a kernel from: "owner/name".
    kernel = "implementation" in key and "/" in value
    # Where peft would import the base model's class from.
    return kernel or (key == "parent_library" and not value.startswith("transformers."))


def _entries(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key), inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)


def _weight_names(folder: Path, files: Mapping[str, Path], weights: str) -> list[str]:
    if weights in files:
        return [weights]
    index = files.get(f"{weights}.index.json")
    if index is not None:
        shards = _read_json(index).get("weight_map")
        names = sorted({str(name) for name in shards.values()}) if isinstance(shards, dict) else []
        absent = [name for name in names if name not in files or not name.endswith(".safetensors")]
        if absent or not names:
            raise DriverError(
                code="checkpoint_missing", message=f"{index.name} names weight files that are not there: {absent[:5]}."
            )
        return names
    pickles = sorted(name for name in files if Path(name).suffix in _PICKLES)
    if pickles:
        raise DriverError(
            code="checkpoint_unsafe",
            message=f"The checkpoint has its weights only as {', '.join(pickles[:3])}, a format that can run code. "
            f"Convert them to {weights}.",
        )
    raise DriverError(code="checkpoint_missing", message=f"The checkpoint folder {folder.name} has no {weights}.")


def _check_weights(path: Path) -> None:
    try:
        check_header(path)
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, problem=str(error)) from error


def _corrupt(path: Path, *, problem: str) -> DriverError:
    return DriverError(code="checkpoint_corrupt", message=f"{path.name} of the checkpoint cannot be used: {problem}.")


def _check_pinned(found: Mapping[str, str], pinned: Mapping[str, str]) -> None:
    for name, expected in pinned.items():
        actual = found.get(name)
        if actual != expected:
            raise DriverError(
                code="checkpoint_digest_mismatch",
                message=f"{name} is not the file the driver pins: found {actual or 'no such file'}, pinned {expected}.",
            )
