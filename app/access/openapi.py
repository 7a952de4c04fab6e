"""The keys in the OpenAPI document."""

from typing import Any

from app.access.routes import SCHEME
from app.access.scopes import Scope
from app.core.settings import AccessSettings


def add_security(document: dict[str, Any], settings: AccessSettings) -> None:
    """Add the scheme that the routes refer to, and say where reading takes a key, too."""
    document["components"]["securitySchemes"] = {
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "prefix.secret",
            "description": "An API key, made with `verdicts keys create`. Its scopes: " + ", ".join(Scope) + ".",
        }
    }
    if settings.reads == "keys":
        for operations in document["paths"].values():
            for operation in operations.values():
                if {} in operation.get("security", []):
                    operation["security"] = [{SCHEME: [Scope.read.value]}]
