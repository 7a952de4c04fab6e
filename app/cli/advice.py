"""What mends a problem, as it is typed here: the service's advice is about HTTP, and its users have commands."""

import os
import re
import shlex
import shutil
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from app.cli.lazy import CALLED

_WHERE: Final[ContextVar[str]] = ContextVar("where", default="")
_MAKE: Final = "`verdicts keys create --name me --scope {scope}` on the service's machine makes one"
_INSTEAD: Final = {
    "key_required": f"This takes an API key, in VERDICTS_KEY or after --key; {_MAKE}.",
    "key_invalid": "The API key, from VERDICTS_KEY or after --key, is not valid there: mistyped, revoked, or of "
    f"another service; {_MAKE}.",
    "not_found": "There is no such service at this address; --server and VERDICTS_SERVER take one without a path, like "
    "http://127.0.0.1:8000.",
}
"""By the problem's code."""
_SCOPES: Final = {"audit": "admin", "reproduce": "reproduce", "cancel": "reproduce"}
"""By the command; all others that take a key are content with the scope `curate`."""
_ID: Final = r"(\{id\}|draft:[\w-]+|[a-zA-Z.-]+/\d{7}|\d{4}\.\d{4,5})"
_SAID: Final = (
    (
        r"scope `(\w+)`; ask the operator for one",
        r"scope `\1`; `verdicts keys create --name me --scope \1` on the service's machine makes one",
    ),
    (r"^(?:body|query|path)\.", ""),
    (r"Register it with (PUT /v1/papers/draft:)", r"It is registered over HTTP: \1"),
    (r"Register it with PUT, or give", "It is registered over HTTP (PUT /v1/papers/ID); or give"),
    (r"register the paper with PUT", "import its document from another service, `verdicts import FILE`"),
    (rf"Register it with PUT /v1/papers/{_ID}", r"`verdicts import \1@` brings it in from arXiv"),
    (rf"GET /v1/papers/{_ID}/claims lists them, POST", r"`verdicts claims \1@` lists them, `verdicts claims import`"),
    (rf"GET /v1/papers/{_ID}/claims", r"`verdicts claims \1@`"),
    (rf"GET /v1/papers/{_ID}/versions lists them", r"`verdicts show \1@` shows the newest"),
    (r"GET /v1/drivers(/[\w-]+)?", "`verdicts drivers@`"),
    (r"GET /v1/reproductions", "`verdicts runs@`"),
    (r"GET /v1/webhooks", "`verdicts webhooks list@`"),
    (r"with `force`", "with --force"),
)
"""What of the service's words is said how. @ is where the service is, as it was said when the command was called."""


def where(server: str | None, data_dir: Path | None) -> str:
    """The options that have another command find the same service, where it would not find it by itself."""
    if server and server != os.environ.get("VERDICTS_SERVER"):
        return f" --server {shlex.quote(server)}"
    return f" --data-dir {shlex.quote(str(data_dir))}" if data_dir else ""


def itself() -> str:
    """What this command is called here: its name where a shell finds that, else the path that it was started by."""
    started = Path(sys.argv[0])
    is_found = shutil.which("verdicts") is not None or started.name != "verdicts" or not started.is_file()
    return "verdicts" if is_found else shlex.quote(str(started.absolute()))


def remember(server: str | None, data_dir: Path | None) -> None:
    """Have the advice be about this service."""
    _WHERE.set(where(server, data_dir))


def advised(code: str, detail: str) -> str:
    """A problem's words, for somebody who types commands."""
    detail = _INSTEAD.get(code, detail).replace("{scope}", _SCOPES.get("".join(CALLED.get()[:1]), "curate"))
    for pattern, command in _SAID:
        detail = re.sub(pattern, command.replace("@", _WHERE.get().replace("\\", r"\\")), detail)
    return detail.replace("{id}", "PAPER")
