"""Files under the hash of their content, and the vendored library as it was published."""

from hashlib import sha256

from app.dashboard.assets import FOLDER, address_of
from tests.api.helpers import Api, refused

VENDORED = {
    # As published to the npm registry: uplot 1.6.32.
    "vendor/uplot-1.6.32/uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "vendor/uplot-1.6.32/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    # swagger-ui-dist 5.35.0.
    "vendor/swagger-ui-5.35.0/swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "vendor/swagger-ui-5.35.0/swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}


def test_files_are_kept_for_ever_under_their_hash(client: Api) -> None:
    for path in ("app.css", "app.js", "course.js", "docs.css", "docs.js", "live.js", "icon.svg", *VENDORED):
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


def test_vendored_libraries_are_as_they_were_published_and_name_their_licence() -> None:
    for path, digest in VENDORED.items():
        assert sha256((FOLDER / path).read_bytes()).hexdigest() == digest, path
    assert "MIT" in (FOLDER / "vendor/uplot-1.6.32/LICENSE").read_text()
    assert "Apache License" in (FOLDER / "vendor/swagger-ui-5.35.0/LICENSE").read_text()


def test_no_script_makes_markup_out_of_text() -> None:
    for path in ("app.js", "course.js", "docs.js", "live.js"):
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
