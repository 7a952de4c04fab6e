"""`verdicts webhooks`: who is told of events by a request of the service."""

from typing import Annotated, Final
from uuid import UUID

import typer
from pydantic import ValidationError

from app.cli.connection import connected
from app.cli.failures import CommandError
from app.cli.lazy import Passing
from app.cli.options import DataDirOption, JsonOption, id_of
from app.cli.plain import plain
from app.cli.service import session_of
from app.cli.show import console
from app.webhooks.queries import list_webhooks
from app.webhooks.register import register_webhook
from app.webhooks.remove import remove_webhook
from app.webhooks.schemas import WebhookEvent, WebhookPost, WebhookRead

webhooks: Final = typer.Typer(cls=Passing, no_args_is_help=True, help="Register, list and remove webhooks.")


@webhooks.command()
def register(
    url: Annotated[str, typer.Argument(help="Where to send events; https.")],
    event: Annotated[list[WebhookEvent] | None, typer.Option(help="Only these; may be given several times.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Register a webhook. Its secret is shown this once."""
    settings = connected(data_dir)
    try:
        post = WebhookPost(url=url, events=event or list(WebhookEvent))
    except ValidationError as error:
        raise CommandError(f"{url} is no URL that could be told") from error
    with session_of(settings) as session:
        made = register_webhook(session, post, settings.webhooks)
    if as_json:
        typer.echo(made.model_dump_json())
        return
    typer.echo(made.secret)
    typer.echo(f"Webhook {made.id}. This is the only time that its secret is shown.", err=True)


@webhooks.command("list")
def list_(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List everybody's webhooks, newest first."""
    with session_of(connected(data_dir)) as session:
        page = list_webhooks(session, 200, None)
    if as_json:
        typer.echo(page.model_dump_json())
        return
    for webhook in page.items:
        console.print(_line(webhook), highlight=False, markup=False)


@webhooks.command()
def remove(webhook: Annotated[UUID, typer.Argument(parser=id_of)], data_dir: DataDirOption = None) -> None:
    """Remove a webhook with all that it was told."""
    with session_of(connected(data_dir)) as session:
        last = remove_webhook(session, webhook)
    console.print(f"{last.id} is removed", highlight=False, markup=False)


def _line(webhook: WebhookRead) -> str:
    state = "enabled" if webhook.enabled else f"disabled: {webhook.disabled_reason}"
    return f"{webhook.id}  {plain(webhook.url)}  {', '.join(webhook.events)}  {webhook.owner or 'operator'}  {state}"
