"""What is loaded when it is asked for: the module of a command, the database behind it. The reasons: decision 0027."""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final, Generic, TypeVar, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from app.cli.failures import UNREACHABLE, CommandError

T = TypeVar("T")
_OURS: Final = frozenset({"app", "workers"})
_BEFORE: Final = {"server": "--server", "key": "--key", "data_dir": "--data-dir"}
CALLED: Final[ContextVar[tuple[str, ...]]] = ContextVar("called", default=())
"""The words of the command that is called: `claims`, `import`."""


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


_SAID: Final[Lazy[Callable[[typer.BadParameter], str]]] = Lazy("wrong_usage", "said_of_usage")


class Passing(TyperGroup):
    """Commands that take the options about where the service is before their own name, too."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  # typer's own types are private
        """The command that is called, with what was said before its name; what it says itself comes later and wins."""
        name, command, rest = self.found(ctx, args)
        CALLED.set((*(CALLED.get() if ctx.parent else ()), name))
        if command is None or isinstance(command, TyperGroup):
            return name, command, rest
        taken = {option for parameter in command.params for option in parameter.opts}
        said = [(_BEFORE[one], value) for one, value in ctx.find_root().params.items() if one in _BEFORE and value]
        for option, _ in said:
            if option not in taken:
                ctx.fail(f"`verdicts {' '.join(CALLED.get())}` takes no {option}.")
        return name, command, [*(word for option, value in said for word in (option, str(value))), *rest]

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  # as above
        """Carry the command out; what is wrong with a value is said in our words."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _SAID.load()(error)
            raise

    def found(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  # as above
        """As `resolve_command` of every group."""
        return super().resolve_command(ctx, args)


class LazyGroup(Passing):
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

    def found(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  # as above
        """The command that is called, loaded."""
        name, shown, rest = super().found(ctx, args)
        return name, self.commands[name] if shown is not None and name is not None else None, rest
