"""What a key may do."""

from enum import StrEnum


class Scope(StrEnum):
    """A permission of a key. Every key may read; `admin` may do everything."""

    read = "read"
    reproduce = "reproduce"
    curate = "curate"
    post_verdicts = "post-verdicts"
    admin = "admin"
