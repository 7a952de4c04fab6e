"""`verdicts claims`: list a paper's claims, and bring in claims from a file."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from app.cli.failures import UNREACHABLE, CommandError
from app.cli.lazy import Passing
from app.cli.lists import claims_list, show_page
from app.cli.options import DataDirOption, JsonOption, KeyOption, LimitOption, PaperArgument, ServerOption
from app.cli.plain import plain
from app.cli.show import console
from app.cli.source import CLAIMS, source_of
from app.client.models import Claim, ClaimsImported, Page


class _Claims(Passing):
    def found(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  # typer's own types are private
        """The command that is called; what names none is a paper, whose claims are listed."""
        named = args[0] in self.commands or args[0].startswith("-")
        return super().found(ctx, args if named else ["list", *args])


claims: Final = typer.Typer(
    cls=_Claims,
    no_args_is_help=True,
    subcommand_metavar="PAPER | COMMAND [ARGS]...",
    help="The numbers that a paper reports. `verdicts claims PAPER` lists them.",
)
_MEDIA: Final = {
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_METRIC: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


@claims.command("list")
def list_(
    paper: PaperArgument,
    limit: LimitOption = 50,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List a paper's claims; * is the headline claim."""
    with source_of(CLAIMS, server, key, data_dir) as source:
        text = source.claims(paper, limit)
    show_page(text, Page[Claim], claims_list, "no claims", as_json=as_json)


@claims.command("import")
def import_(
    paper: PaperArgument,
    file: Annotated[Path, typer.Argument(help="A CSV file (.csv), a model card (.md), or its YAML (.yaml, .yml).")],
    force: Annotated[bool, typer.Option(help="Register values although no count gives them.")] = False,  # noqa: FBT002
    unit: Annotated[
        Literal["percent", "fraction"] | None, typer.Option(help="Of a model card's values; default: by their size.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Read only these metrics of a model card.")] = None,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Register the claims of a file: all of them, or none. Claims that are known stay as they are."""
    media = _MEDIA.get(file.suffix.lower())
    if media is None:
        message = f"files end in {', '.join(_MEDIA)}"
        raise typer.BadParameter(message)
    if metric is not None and not _METRIC.fullmatch(metric):
        message = "a metric is named in small letters, digits and underscores"
        raise typer.BadParameter(message)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}", UNREACHABLE) from error
    options = {"force": force, "unit": unit, "metric": metric}
    with source_of(CLAIMS, server, key, data_dir) as source:
        text = source.import_claims(paper, content, media, options)
    if as_json:
        typer.echo(text)
    else:
        done = ClaimsImported.model_validate_json(text)
        words = f"{plain(paper)}: {done.registered} claims registered, {done.known} known already"
        console.print(words, highlight=False, markup=False)
