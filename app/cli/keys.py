"""`verdicts keys`: who may change something over HTTP. `verdicts audit`: who did."""

import json
from typing import Annotated, Final

import typer

from app.access.keys import create_key, list_keys, revoke_key
from app.access.schemas import KeyRead
from app.access.scopes import Scope
from app.cli.service import DataDirOption, JsonOption, connected, session_of
from app.cli.show import audit_table, console, keys_table
from app.cli.source import KeyOption, ServerOption, source_of
from app.client.models import AuditEntry, Page

keys: Final = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="Who or what it is for.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; may be given several times.")],
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Make a key. It is shown this once; only its hash is kept."""
    with session_of(connected(data_dir)) as session:
        made = create_key(session, name, scope)
    if as_json:
        typer.echo(made.model_dump_json())
        return
    typer.echo(made.key)
    typer.echo("This is the only time that the key is shown. Send it as: Authorization: Bearer KEY", err=True)


@keys.command("list")
def list_(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List the keys, without their secrets."""
    with session_of(connected(data_dir)) as session:
        found = list_keys(session)
    if as_json:
        typer.echo(json.dumps({"items": [key.model_dump(mode="json") for key in found]}, separators=(",", ":")))
    else:
        console.print(keys_table(found))


@keys.command()
def revoke(
    prefix: Annotated[str, typer.Argument(help="What stands before the key's dot.")],
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """End a key for good. Running services stop accepting it within about a second."""
    with session_of(connected(data_dir)) as session:
        key: KeyRead = revoke_key(session, prefix)
    typer.echo(key.model_dump_json()) if as_json else console.print(f"{key.prefix} ({key.name}) is revoked")


def audit(
    subject: Annotated[str | None, typer.Option(help="Only of this, e.g. papers/2111.09543.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where to go on: next_cursor of the page before.")] = None,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show who changed what, newest first."""
    with source_of(server, key, data_dir) as source:
        text = source.audit(subject, limit, cursor)
    typer.echo(text) if as_json else console.print(audit_table(Page[AuditEntry].model_validate_json(text).items))
