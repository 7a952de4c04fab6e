"""What is loaded when it is asked for: the module of a command, the database behind it. The reasons: decision 0027."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final, Generic, TypeVar, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from app.cli.failures import UNREACHABLE, CommandError

T = TypeVar("T")
_OURS: Final = frozenset({"app", "workers"})


@dataclass(frozen=True, slots=True)
class Lazy(Generic[T]):
    """Something of this room that is imported by whoever loads it."""

    module: str
    name: str

    def load(self) -> T:
        """It, imported now. Raises CommandError where the service's libraries are not installed."""
        try:
            module = import_module(f"app.cli.{self.module}")
        except ModuleNotFoundError as error:
            if (error.name or "app").partition(".")[0] in _OURS:
                raise
            message = (
                f"this needs the service's libraries, and {error.name} is not installed here: pip install "
                "'paper-verdicts[service]', or name a service elsewhere with --server"
            )
            raise CommandError(message, UNREACHABLE) from error
        return cast("T", getattr(module, self.name))


@dataclass(frozen=True, slots=True)
class Entry:
    """A command, or a group of them, and what is said of it while its module is not loaded."""

    what: Lazy[Any]
    help: str


class Commands(Mapping[str, Any]):
    """The commands by name, each loaded when it is looked at."""

    def __init__(self, table: Mapping[str, Entry]) -> None:
        self._table = table

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  # typer's own types of commands are private
        """The command, loaded."""
        found = self._table[name].what.load()
        if isinstance(found, typer.Typer):
            group = get_group(found)
            group.name = name
            return group
        single = typer.Typer(add_completion=False)
        single.command(name)(found)
        return get_command(single)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


class LazyGroup(TyperGroup):
    """Lists commands by what the table says of them; loads the one that is called."""

    table: ClassVar[Mapping[str, Entry]] = {}

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # typer's own
        super().__init__(**options)
        self.commands = Commands(self.table)  # type: ignore[assignment]  # nothing is ever added to it

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  # typer's own types are private
        """Their names."""
        del ctx
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ANN401  # as above
        """What a list of commands shows of it."""
        del ctx
        found = self.table.get(cmd_name)
        return TyperCommand(cmd_name, help=found.help) if found else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  # as above
        """The command that is called, loaded."""
        name, shown, rest = super().resolve_command(ctx, args)
        return name, self.commands[name] if shown is not None and name is not None else None, rest
