"""Style, scripts and pictures: read once, served under names that carry the hash of their content, kept for ever."""

from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from app.core.errors import AppError
from app.core.etag import held_by

FOLDER: Final = Path(__file__).with_name("static")
PREFIX: Final = "/static"
_MEDIA: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HASH_DIGITS: Final = 16
_HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}


class AssetNotFoundError(AppError):
    """No such file, or not in this version."""

    status = HTTPStatus.NOT_FOUND
    code = "asset_not_found"
    title = "No such file"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    name: str
    body: bytes
    media: str
    etag: str


def _read() -> dict[str, Asset]:
    """Every file that may be served, by its path below the folder."""
    found = {}
    for path in sorted(path for path in FOLDER.rglob("*") if path.suffix in _MEDIA):
        body = path.read_bytes()
        digest = sha256(body).hexdigest()[:_HASH_DIGITS]
        name = f"{path.stem}.{digest}{path.suffix}"
        found[path.relative_to(FOLDER).as_posix()] = Asset(name, body, _MEDIA[path.suffix], f'"{digest}"')
    return found


_ASSETS: Final = _read()
_BY_NAME: Final = {asset.name: asset for asset in _ASSETS.values()}

static = APIRouter(include_in_schema=False)


def address_of(path: str) -> str:
    """The address of a file, by its path below `static/`. Raises KeyError."""
    return f"{PREFIX}/{_ASSETS[path].name}"


@static.get(PREFIX + "/{name}")
async def get_asset(request: Request, name: str) -> Response:
    """One file. There is nothing in these that is not public, so they are served also where reading takes a key."""
    asset = _BY_NAME.get(name)
    if asset is None:
        detail = "There is no such file in this version of the service; load the page again."
        raise AssetNotFoundError(detail)
    headers = _HEADERS | {"ETag": asset.etag}
    if (held := held_by(request, asset.etag)) is not None:
        return Response(status_code=304, headers={**headers, "ETag": held})
    return Response(asset.body, headers=headers, media_type=asset.media)
