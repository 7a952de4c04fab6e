"""The blocks of README.md and docs/ that are no commands: drivers, a document."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.protocol.driver import DriverSpec
from tests.docs.blocks import ROOT, blocks_of, is_shown
from tests.docs.conftest import Site


def _of(page: str, *kinds: str) -> Iterator[str]:
    return (block.code for block in blocks_of(page) if block.kind in kinds)


def test_the_examples_of_drivers_are_drivers() -> None:
    (ours,) = _of("docs/guides/add-a-driver.md", "toml")
    assert DriverSpec.model_validate(tomllib.loads(ours)).slug == "my-driver"
    *parts, whole = _of("docs/evaluator.md", "toml")
    assert DriverSpec.model_validate(tomllib.loads(whole)).slug == "my-sst2"
    shipped = (ROOT / "workers" / "catalogue" / "drivers" / "minilm-mnli-full.toml").read_text(encoding="utf-8")
    for part in parts:
        document = tomllib.loads(shipped)
        for name, table in tomllib.loads(part).items():
            document[name] |= table
        assert DriverSpec.model_validate(document).slug == "minilm-mnli-full"


@pytest.mark.worker
def test_the_document_in_the_readme_is_the_papers_own_in_part(site: Site) -> None:
    """Its keys, in their order, and the values that it does not cut short."""
    (code,) = _of("README.md", "jsonc")
    lines = [line.partition(" //")[0] for line in code.splitlines()]
    shown = json.loads("\n".join(lines).replace(", …}", ', "…": 0}').replace("{…}", '{"…": 0}'))
    whole = _document(shown["paper"]["arxiv_id"], site)
    assert list(shown) == list(whole)
    _is_part_of(shown, whole)


def _document(paper: str, site: Site) -> Any:  # noqa: ANN401  # JSON
    """The golden one, or what a service has of the paper after its first start."""
    golden = ROOT / "tests" / "golden" / f"paper-{paper}.json"
    if golden.exists():
        return json.loads(golden.read_text(encoding="utf-8"))
    return httpx.get(f"{site.environment['SERVER']}/v1/papers/{paper}", timeout=60).json()


def _is_part_of(shown: Any, whole: Any) -> None:  # noqa: ANN401  # JSON
    if isinstance(shown, dict):
        assert [key for key in whole if key in shown] == [key for key in shown if key != "…"]
        assert ("…" in shown) == (len(whole) > len(shown))
        for key in shown.keys() - {"…"}:
            _is_part_of(shown[key], whole[key])
    elif isinstance(shown, str) and shown.endswith("…"):
        assert whole.startswith(shown.removesuffix("…"))
    else:
        assert shown == whole


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("one\ntwo\n", "one  \ntwo\n\n", True),
        ("one\n…\nfour", "one\ntwo\nthree\nfour", True),
        ('{"id":"…","done":true,\n"state":"…"}', '{"id":"0","done":true,"state":"succeeded"}', True),
        ('{"id":"…","done":true}', '{"id":"0","done":false}', False),
        ("one\n…", "two\none\n", False),
        ("a.c", "abc", False),
        ("one", "one\ntwo", False),
    ],
)
def test_what_is_shown_is_compared_with_what_was_printed(shown: str, printed: str, *, same: bool) -> None:
    assert is_shown(shown, printed) == same
