"""The OpenAPI document to read and to try, by Swagger UI: our own copy, so that nothing comes from other hosts."""

from typing import Final

from fastapi import APIRouter, Response

from app.dashboard.render import HTML, rendered

docs = APIRouter(include_in_schema=False)
_SWAGGER_UI: Final = "vendor/swagger-ui-5.35.0"
_HEADERS: Final = {
    # People type keys here: it runs its own scripts alone, and stands in no other page.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@docs.get("/docs")
async def get_docs() -> Response:
    """The page; it fetches the document itself."""
    return Response(rendered("docs.html", swagger=_SWAGGER_UI), headers=_HEADERS, media_type=HTML)
