"""`verdicts webhooks`: who is told of events by a request of the service."""

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import typer

from app.cli.lazy import Passing
from app.cli.lists import show_page, webhooks_list
from app.cli.options import DataDirOption, JsonOption, KeyOption, ServerOption, id_of
from app.cli.source import WEBHOOKS, source_of
from app.client.models import Page, Webhook, WebhookCreated

webhooks: Final = typer.Typer(cls=Passing, no_args_is_help=True, help="Register, list and remove webhooks.")
_MOST: Final = 200


class Event(StrEnum):
    """What a webhook can be told of."""

    issued = "verdict.issued"
    superseded = "verdict.superseded"
    finished = "reproduction.finished"


@webhooks.command()
def register(
    url: Annotated[str, typer.Argument(help="Where to send events; https.")],
    event: Annotated[list[Event] | None, typer.Option(help="Only these; may be given several times.")] = None,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Register a webhook. Its secret is shown this once."""
    with source_of(WEBHOOKS, server, key, data_dir) as source:
        text = source.register_webhook(url, event or ())
    if as_json:
        typer.echo(text)
        return
    made = WebhookCreated.model_validate_json(text)
    typer.echo(made.secret)
    typer.echo(f"Webhook {made.id}. This is the only time that its secret is shown.", err=True)


@webhooks.command("list")
def list_(
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List everybody's webhooks, newest first; with a key, those that it may see."""
    with source_of(WEBHOOKS, server, key, data_dir) as source:
        text = source.webhooks(_MOST)
    show_page(text, Page[Webhook], webhooks_list, "no webhooks", as_json=as_json, has_limit=False)


@webhooks.command()
def remove(
    webhook: Annotated[UUID, typer.Argument(parser=id_of, metavar="WEBHOOK", help="The webhook's id.")],
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Remove a webhook with all that it was told."""
    with source_of(WEBHOOKS, server, key, data_dir) as source:
        text = source.remove_webhook(webhook)
    typer.echo(text if as_json else f"{Webhook.model_validate_json(text).id} is removed")
