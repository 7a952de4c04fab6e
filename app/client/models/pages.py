"""Lists, as the service answers them."""

from typing import Generic, TypeVar

from app.client.problems import Answered

Item = TypeVar("Item")


class Page(Answered, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None
