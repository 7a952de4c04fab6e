"""`verdicts claims`: list a paper's claims, and bring in claims from a file."""

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from app.claims.bring import CSV, MARKDOWN, YAML, ClaimsFile, bring_claims
from app.claims.errors import ClaimsFileError
from app.cli.failures import REFUSED, UNREACHABLE, CommandError
from app.cli.service import DataDirOption, JsonOption, connected, session_of
from app.cli.show import claims_table, console
from app.cli.source import KeyOption, ServerOption, source_of
from app.client.models import Claim, Page
from app.papers.find import find_paper, find_version
from app.papers.ids import PaperRef

claims: Final = typer.Typer(no_args_is_help=True, help="The numbers that a paper reports.")
Media = Literal["text/csv", "text/markdown", "application/yaml"]
_MEDIA: Final[dict[str, Media]] = {".csv": CSV, ".md": MARKDOWN, ".yaml": YAML, ".yml": YAML}


@claims.command("list")
def list_(
    paper: str,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List a paper's claims; * is the headline claim."""
    with source_of(server, key, data_dir) as source:
        text = source.claims(paper, limit)
    typer.echo(text) if as_json else console.print(claims_table(Page[Claim].model_validate_json(text).items))


@claims.command("import")
def import_(
    paper: str,
    file: Annotated[Path, typer.Argument(help="A CSV file (.csv), a model card (.md), or its YAML (.yaml, .yml).")],
    force: Annotated[bool, typer.Option(help="Register values although no count gives them.")] = False,  # noqa: FBT002
    unit: Annotated[str | None, typer.Option(help="Of a model card's values: percent or fraction.")] = None,
    metric: Annotated[str | None, typer.Option(help="Read only these metrics of a model card.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Register the claims of a file: all of them, or none. Claims that are known stay as they are."""
    media = _MEDIA.get(file.suffix.lower())
    if media is None or unit not in {None, "percent", "fraction"}:
        message = f"files end in {', '.join(_MEDIA)}, and units are percent and fraction"
        raise typer.BadParameter(message)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}", UNREACHABLE) from error
    ref = PaperRef.parse(paper)
    options = {"force": force, "unit": unit, "metric": metric}
    try:
        sent = ClaimsFile.model_validate({"content": content, "media": media, **options})
    except ValueError as error:
        message = "a metric is named in small letters, digits and underscores"
        raise typer.BadParameter(message) from error
    with session_of(connected(data_dir)) as session:
        found = find_paper(session, ref, lock=True)
        try:
            imported = bring_claims(session, found, find_version(session, found, ref.version), sent)
        except ClaimsFileError as error:
            lines = [error.detail, *(f"{one.field.removeprefix('body.')}: {one.detail}" for one in error.errors)]
            raise CommandError("\n".join(lines), REFUSED) from error
    if as_json:
        typer.echo(imported.model_dump_json())
    else:
        words = f"{ref.arxiv_id}: {imported.registered} claims registered, {imported.known} known already"
        console.print(words, highlight=False, markup=False)
