"""Which addresses are told: https, reachable from anywhere, without anything in the URL that is nobody's business."""

from typing import Final

import httpx

from app.core.outgoing import NotPublicError, UnresolvedError, checked_address, port_of
from app.core.settings import WebhookSettings
from app.webhooks.errors import WebhookTargetError

_LAST_PORT: Final = 65_535


def parse_target(url: str, settings: WebhookSettings) -> httpx.URL:
    """The URL, where its form is one that is told. Raises WebhookTargetError."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise WebhookTargetError(f"This is no URL: {error}.") from error
    if parsed.scheme != "https" and not (parsed.scheme == "http" and settings.allow_http):
        raise WebhookTargetError("Messages are sent over https alone: give a URL that begins with https://.")
    if not parsed.host or not 0 < port_of(parsed) <= _LAST_PORT:
        raise WebhookTargetError("The URL names no host, or a port that there is not.")
    if parsed.userinfo or parsed.fragment:
        raise WebhookTargetError("Leave out user, password and fragment; messages are signed, which is proof enough.")
    return parsed


def address_of(url: httpx.URL, settings: WebhookSettings) -> str:
    """The address to connect to, looked up and checked now. Raises WebhookTargetError."""
    try:
        return checked_address(url.raw_host.decode("ascii"), port_of(url), allow_private=settings.allow_private)
    except UnresolvedError as error:
        raise WebhookTargetError(f"{url.host} cannot be resolved from here.") from error
    except NotPublicError as error:
        raise WebhookTargetError(f"{url.host} has an address that is not public; nothing is sent to it.") from error
