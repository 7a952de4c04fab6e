"""The names of drivers: small letters, digits and single hyphens, as in an address."""

import re
from typing import Final

SLUG_PATTERN: Final = "[a-z0-9]+(-[a-z0-9]+)*"
SLUG_LENGTH: Final = 80
"""Of the longest."""


def is_slug(text: str) -> bool:
    """Whether a driver can be called so."""
    return len(text) <= SLUG_LENGTH and re.fullmatch(SLUG_PATTERN, text) is not None
