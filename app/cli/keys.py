"""`verdicts keys`: who may change something over HTTP."""

import json
from collections.abc import Iterable
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from app.access.keys import create_key, list_keys, revoke_key
from app.access.schemas import KeyRead
from app.access.scopes import Scope
from app.cli.connection import connected
from app.cli.lazy import Passing
from app.cli.options import DataDirOption, JsonOption
from app.cli.plain import plain
from app.cli.service import session_of
from app.cli.show import console

keys: Final = typer.Typer(cls=Passing, no_args_is_help=True, help="Make, list and revoke API keys.")


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
        console.print(_table(found))


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


_PREFIX: Final = 15
"""Characters of the name of a key: it is what revokes it, so a narrow terminal must not cut it off."""


def _table(found: Iterable[KeyRead]) -> Table:
    """Keys, one a line."""
    table = Table(box=None, pad_edge=False)
    for column in ("key", "name", "scopes", "made", "last used", "revoked"):
        table.add_column(column, no_wrap=column == "key", min_width=_PREFIX if column == "key" else None)
    for key in found:
        moments = [f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (key.created_at, key.last_used_at, key.revoked_at)]
        table.add_row(key.prefix, Text(plain(key.name)), " ".join(key.scopes), *moments)
    return table
