"""`verdicts audit`: who changed what."""

from typing import Annotated

import typer

from app.cli.lists import audit_list, show_page
from app.cli.options import DataDirOption, JsonOption, KeyOption, LimitOption, ServerOption
from app.cli.source import LOG, source_of
from app.client.models import AuditEntry, Page


def audit(
    subject: Annotated[str | None, typer.Option(help="Only of this, e.g. papers/2111.09543.")] = None,
    limit: LimitOption = 50,
    cursor: Annotated[str | None, typer.Option(help="Where to go on: next_cursor of the page before.")] = None,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show who changed what, newest first."""
    with source_of(LOG, server, key, data_dir) as source:
        text = source.audit(subject, limit, cursor)
    show_page(text, Page[AuditEntry], audit_list, "no changes", as_json=as_json)
