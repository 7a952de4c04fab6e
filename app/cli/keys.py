"""`verdicts keys`: who may change something over HTTP."""

import json
from collections.abc import Iterable
from typing import Annotated, Final

import typer
from rich.text import Text

from app.access.keys import create_key, list_keys, revoke_key
from app.access.schemas import KeyRead
from app.access.scopes import Scope
from app.cli.connection import connected
from app.cli.lazy import Passing
from app.cli.listing import Column, Listing, print_list
from app.cli.options import DataDirOption, JsonOption
from app.cli.service import session_of
from app.cli.show import any_text, console

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
    typer.echo("This is the only time that the key is shown. Commands take it from", err=True)
    typer.echo("VERDICTS_KEY, the API from the header:", err=True)
    typer.echo("  Authorization: Bearer KEY", err=True)


@keys.command("list")
def list_(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List the keys, without their secrets."""
    with session_of(connected(data_dir)) as session:
        found = list_keys(session)
    if as_json:
        typer.echo(json.dumps({"items": [key.model_dump(mode="json") for key in found]}, separators=(",", ":")))
    else:
        print_list(_listed(found), "no keys")


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


def _listed(found: Iterable[KeyRead]) -> Listing:
    """Keys, and what they may do."""
    moments = [Column(name) for name in ("made (UTC)", "last used", "revoked")]
    texts = [Column(name, gives=True, wraps=True) for name in ("name", "scopes")]
    return Listing([Column("key"), *texts, *moments], map(_key, found))


def _key(key: KeyRead) -> list[Text]:
    moments = (f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (key.created_at, key.last_used_at, key.revoked_at))
    return [Text(key.prefix), any_text(key.name), Text(" ".join(key.scopes)), *map(Text, moments)]
