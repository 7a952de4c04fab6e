"""Templates to answers."""

import re
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Final, cast

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Macro
from markupsafe import Markup

from app.core.etag import REVALIDATE, etag_of, held_by
from app.dashboard import drawings, numbers, words
from app.dashboard.assets import address_of
from app.dashboard.detail import Detail
from app.dashboard.kept import Kept

HTML: Final = "text/html; charset=utf-8"
_NONCHARACTERS: Final = "".join(chr(0x10000 * plane + end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
_UNSEEN: Final = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef{_NONCHARACTERS}]")
"""What HTML has no place for. Postgres keeps all of it but the first."""


def _visible(value: object) -> object:
    """What a template prints: nothing for None, and a replacement for characters that no page may hold."""
    if type(value) is str:
        return value if value.isprintable() else _UNSEEN.sub("\ufffd", value)
    return "" if value is None else value


_fragments: Final[Kept[tuple[object, ...], Markup]] = Kept(4096)


def _once(name: str, macro: Callable[[Any], Markup], detail: Detail) -> Markup:
    """What the macro makes of the verdict, kept: it shows what never changes."""
    return _fragments.get((name, *detail.key), lambda: macro(detail))


def _memo(macro: Macro, *shown: Hashable) -> Markup:
    """What the macro makes of these, kept: it shows nothing else."""
    return _fragments.get((macro.name, *shown), lambda: cast("Markup", macro(*shown)))


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_visible,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.globals.update(asset=address_of, n=numbers, words=words, draw=drawings, once=_once, memo=_memo)


def compile_all() -> None:
    """Compile every template now, and not while its first reader waits."""
    for name in _ENVIRONMENT.list_templates():
        _ENVIRONMENT.get_template(name)


def rendered(template: str, **context: Any) -> bytes:  # noqa: ANN401  # whatever the template shows
    """The page."""
    return _ENVIRONMENT.get_template(template).render(**context).encode()


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:  # noqa: ANN401  # as above
    """The page as an answer, with a tag of its content; 304 where the reader holds it already."""
    body = rendered(template, path=request.scope["path"], **context)
    if status != 200:  # noqa: PLR2004  # only what is there is kept
        return Response(body, status, {"Cache-Control": "no-store"}, media_type=HTML)
    tag = etag_of(body)
    headers = {"ETag": tag, "Cache-Control": REVALIDATE, "Vary": "Accept-Encoding"}
    if (held := held_by(request, tag)) is not None:
        return Response(status_code=304, headers={**headers, "ETag": held})
    return Response(body, headers=headers, media_type=HTML)
