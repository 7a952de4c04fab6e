"""Fetch one file of a dataset repository on the Hugging Face hub, at a pinned commit."""

from pathlib import Path
from typing import Final

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, XetDownloadError

from app.protocol.driver import HubSource
from app.protocol.errors import DriverError
from workers.hub import unreachable

_TROUBLE: Final[tuple[type[BaseException], ...]] = (OSError, XetDownloadError, *HfHubHTTPError.__bases__)
"""The bases hold the HTTP library's own error, and which library that is depends on the hub client's version."""
_GONE: Final = frozenset({401, 403, 404, 410})
"""What the hub answers for a repository, commit or file that is not there, or not for us. It says 401 for both."""


def fetch(source: HubSource, file: str, *, cache: Path, what: str) -> Path:
    """The local path of `file`, downloaded once into `cache` and then read from there without the network.

    Raises DriverError: `<what>_missing` where the hub has no such file at that commit, `hub_unreachable` (retryable)
    where it could not be asked.
    """
    folder = cache / "hub" / "datasets" / source.hub.replace("/", "--") / source.revision
    try:
        path = hf_hub_download(
            source.hub, file, repo_type="dataset", revision=source.revision, local_dir=folder, token=False
        )
    except _TROUBLE as error:
        raise _explain(error, source, file, what) from error
    return Path(path)


def _explain(error: BaseException, source: HubSource, file: str, what: str) -> DriverError:
    place = f"{file} of the dataset {source.hub} at {source.revision}"
    if isinstance(error, HfHubHTTPError) and error.response.status_code in _GONE:
        return DriverError(
            code=f"{what}_missing",
            message=f"The hub has no {place}, or it is not public. Check the repository, the commit and the file name.",
        )
    return unreachable(place)
