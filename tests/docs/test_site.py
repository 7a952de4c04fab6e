"""The site is built without a warning, and fetches nothing from anywhere else."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from docs_site.picture import cases
from tests.docs.blocks import ROOT

FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Fetches(HTMLParser):
    """The addresses that a browser fetches for a page by itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = "href" if tag == "link" and given.get("rel") != "canonical" else FETCHED.get(tag, "")
        if given.get(name):
            self.found.append(str(given[name]))


def test_every_page_is_there_and_fetches_nothing_from_elsewhere(built: Path) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    there = {path.relative_to(built) for path in built.rglob("*.html")}
    assert sources | {Path("reference.html"), Path("decisions/index.html")} <= there
    for page in there:
        fetched = Fetches((built / page).read_text(encoding="utf-8")).found
        assert fetched
        assert [one for one in fetched if re.match(r"(https?:)?//", one)] == [], page
    for style in built.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text(encoding="utf-8")), style


def test_the_reference_has_every_operation(built: Path) -> None:
    page = (built / "reference.html").read_text(encoding="utf-8")
    for path in ("/v1/papers", "/v1/reproductions/&#123;reproduction_id}", "/v1/verdicts/&#123;verdict_id}"):
        assert path.replace("&#123;", "{") in page
    assert "VerdictRead" in page


def test_the_picture_shows_the_three_outcomes(built: Path) -> None:
    assert [one.decision.status for one in cases()] == ["reproduced", "inconclusive", "not_reproduced"]
    drawn = (built / "assets" / "decision-rule.svg").read_text(encoding="utf-8")
    for one in cases():
        assert f"{one.correct} of {one.n}: {one.decision.status.replace('_', ' ')}" in drawn
