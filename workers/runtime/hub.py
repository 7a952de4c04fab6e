"""Fetch a checkpoint from the Hugging Face hub at a pinned commit: safetensors and text, never a pickle."""

from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, XetDownloadError

from app.protocol.driver import HubSource
from app.protocol.errors import DriverError
from workers.hub import unreachable

_WANTED: Final = ["*.safetensors", "*.json", "*.txt", "*.model"]
_UNWANTED: Final = ["*/*"]
"""Only the top level: folders hold other formats (ONNX, checkpoints of the training) that nobody here reads."""
_TROUBLE: Final[tuple[type[BaseException], ...]] = (OSError, XetDownloadError, *HfHubHTTPError.__bases__)
"""The bases hold the HTTP library's own error, and which library that is depends on the hub client's version."""
_GONE: Final = frozenset({401, 403, 404, 410})
"""What the hub answers for a repository or commit that is not there, or not for us. It says 401 for both."""


def fetch_checkpoint(source: HubSource, *, cache: Path) -> Path:
    """The local folder of the checkpoint, downloaded once into `cache` and then read without the network.

    Real files, not links into a shared store, so that a link in the folder can only be a trick.
    Raises DriverError: `checkpoint_missing`, `hub_unreachable` (retryable).
    """
    folder = cache / "hub" / "models" / source.hub.replace("/", "--") / source.revision
    complete = folder.with_name(f"{source.revision}.complete")
    if complete.is_file():
        return folder
    try:
        snapshot_download(
            source.hub,
            revision=source.revision,
            local_dir=folder,
            allow_patterns=_WANTED,
            ignore_patterns=_UNWANTED,
            token=False,
        )
    except _TROUBLE as error:
        raise _explain(error, source) from error
    complete.touch()
    return folder


def _explain(error: BaseException, source: HubSource) -> DriverError:
    place = f"the checkpoint {source.hub} at {source.revision}"
    if isinstance(error, HfHubHTTPError) and error.response.status_code in _GONE:
        return DriverError(
            code="checkpoint_missing",
            message=f"The hub does not have {place}, or it is not public. Check the repository and the commit.",
        )
    return unreachable(place)
