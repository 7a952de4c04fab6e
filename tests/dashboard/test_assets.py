"""Files under the hash of their content, and the vendored library as it was published."""

from hashlib import sha256

from app.dashboard.assets import FOLDER, address_of
from tests.api.helpers import Api, refused

VENDORED = {
    # As published to the npm registry: uplot 1.6.32.
    "vendor/uplot-1.6.32/uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "vendor/uplot-1.6.32/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


def test_files_are_kept_for_ever_under_their_hash(client: Api) -> None:
    for path in ("app.css", "app.js", "live.js", "icon.svg", *VENDORED):
        address = address_of(path)
        answer = client.get(address)
        assert answer.content == (FOLDER / path).read_bytes()
        assert sha256(answer.content).hexdigest()[:16] in address
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        held = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (held.status_code, held.content) == (304, b"")
    refused(client.get("/static/app.css"), 404, "asset_not_found")
    refused(client.get("/static/app.0000000000000000.css"), 404, "asset_not_found")


def test_the_vendored_library_is_as_it_was_published_and_names_its_licence() -> None:
    for path, digest in VENDORED.items():
        assert sha256((FOLDER / path).read_bytes()).hexdigest() == digest, path
    assert "MIT" in (FOLDER / "vendor/uplot-1.6.32/LICENSE").read_text()


def test_no_script_makes_markup_out_of_text() -> None:
    for path in ("app.js", "live.js"):
        source = (FOLDER / path).read_text()
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "cookie",
            "localStorage",
            "sessionStorage",
        ):
            assert way not in source, (path, way)
