"""YAML that says the same to every reader, whatever texts stand in it."""

from typing import Any, Final

import yaml

_WIDE: Final = 1_000_000
"""A text is never folded over several lines: no line of it can look like the end of a model card's front matter."""


class _Dumper(yaml.SafeDumper):
    """Safe: plain data alone, no aliases, and texts in double quotes wherever they hold more than printable ASCII."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002  # PyYAML's signature
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    plain = text.isprintable() and text == text.strip()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def dump(document: Any) -> bytes:  # noqa: ANN401  # plain data
    """The document in UTF-8, keys in their order."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDE)
    return text.encode()
