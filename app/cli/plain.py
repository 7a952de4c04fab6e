"""Text of others in a terminal: shown, never obeyed."""

import re
from typing import Final

_BLANK: Final = re.compile(r"[\t\n\r\v\f\u2028\u2029\x85]+")
_OBEYED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, colours, renames the window or turns the direction of reading; and what cannot be encoded."""


def plain(text: str) -> str:
    r"""The text on one line, with every character that a terminal would act on written out, like `\x1b`."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], _BLANK.sub(" ", text))
