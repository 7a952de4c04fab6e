"""Every setting is documented, with its default, where operators look for it."""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from app.core.settings import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
ROW = re.compile(r"(?m)^\| `VERDICTS_([A-Z_]+)` \| (.*?) ?\| (.+) \|$")
OF_ITS_OWN = {"DATA_DIR": "`~/.local/share/paper-verdicts`", "CATALOGUE_DIR": "the shipped one"}


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The names and defaults of all settings, those of the groups among them."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from leaves(type(field.default), f"{prefix}{name}__".upper())
        else:
            yield f"{prefix}{name}".upper(), field.default


def shown(name: str, default: object) -> str:
    """The default as the table has it."""
    if name in OF_ITS_OWN:
        return OF_ITS_OWN[name]
    if default is None or default == "":
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return f"`[{', '.join(f'{one:g}' for one in default)}]`"
    return repr(default).removesuffix(".0") if isinstance(default, float) else str(default)


def test_the_table_of_settings_is_whole_and_true() -> None:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8").partition("## Settings")[2])
    assert {name: default for name, default, _ in rows} == {
        name: shown(name, value) for name, value in leaves(Settings)
    }
    assert len(rows) == len({name for name, _, _ in rows})
    assert all(said for _, _, said in rows)
