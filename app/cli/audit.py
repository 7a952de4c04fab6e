"""`verdicts audit`: who changed what."""

from typing import Annotated

import typer

from app.cli.listing import print_list
from app.cli.lists import audit_list
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
    if as_json:
        typer.echo(text)
        return
    page = Page[AuditEntry].model_validate_json(text)
    print_list(audit_list(page.items), "no changes", more=page.next_cursor is not None)
