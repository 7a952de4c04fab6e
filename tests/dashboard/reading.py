"""Reading pages as a strict parser does."""

import re
from typing import Any, Final
from xml.etree.ElementTree import Element

import html5lib
from httpx2 import Response

from app.dashboard.routes import POLICY

_HTML: Final = "{http://www.w3.org/1999/xhtml}"
ELSEWHERE: Final = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)
LOADS: Final = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "use": "href"}


def tree(body: bytes) -> Element:
    """The page; raises where it is not valid, to the letter of the standard's parser."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    found: Any = parser.parse(body, transport_encoding="utf-8")
    assert isinstance(found, Element)
    return found


def name_of(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def text_of(body: bytes) -> str:
    """What stands on the page, blanks run together."""
    return " ".join(" ".join(tree(body).itertext()).split())


def checked(response: Response, status: int = 200) -> Element:
    """The page of an answer, held to everything that goes for every page."""
    assert response.status_code == status, response.text[:2000]
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in response.headers
    page = tree(response.content)
    assert_well_made(page)
    return page


def assert_well_made(page: Element) -> None:
    """Nothing inline, nothing from elsewhere, ids that are unique and found, a heading, a language."""
    assert page.get("lang") == "en"
    assert len([one for one in page.iter() if name_of(one) == "h1"]) == 1
    ids = [one.get("id") for one in page.iter() if one.get("id")]
    assert sorted(set(ids), key=str) == sorted(ids, key=str)
    for element in page.iter():
        if not isinstance(element.tag, str):
            continue
        name = name_of(element)
        assert name != "style"
        assert not [key for key in element.attrib if key == "style" or key.startswith("on")], element.attrib
        if name == "script":
            assert element.get("src")
            assert not (element.text or "").strip()
        if (address := element.get(LOADS.get(name, ""))) is not None:
            assert address.startswith("/static/"), address
        for key in ("href", "action", "src"):
            target = element.get(key) or ""
            assert not target.lower().startswith(("javascript:", "data:")), target
            if ELSEWHERE.match(target):
                assert (name, target.startswith("https://arxiv.org/abs/")) == ("a", True), target
        for key in ("aria-labelledby", "aria-describedby", "for"):
            for named in (element.get(key) or "").split():
                assert named in ids, (key, named)
