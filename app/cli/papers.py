"""`verdicts papers` and `verdicts show`."""

from typing import Annotated

import typer

from app.cli.document_panel import document_panel, standing
from app.cli.lists import papers_list, show_page
from app.cli.options import DataDirOption, JsonOption, KeyOption, LimitOption, PaperArgument, ServerOption
from app.cli.show import console
from app.cli.source import PAPERS, VERDICTS, source_of
from app.client.models import Page, PaperDocument, PaperSummary, Verdict


def papers(
    q: Annotated[str | None, typer.Argument(help="Words of the id, title or abstract.")] = None,
    limit: LimitOption = 50,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List papers, newest verdict first."""
    with source_of(PAPERS, server, key, data_dir) as source:
        text = source.papers(q, limit)
    show_page(text, Page[PaperSummary], papers_list, "no papers", as_json=as_json)


def show(
    paper: PaperArgument,
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show a paper's document: its verdicts as they stand."""
    with source_of(PAPERS, server, key, data_dir) as source:
        text = source.paper(paper)
    if as_json:
        typer.echo(text)
        return
    document = PaperDocument.model_validate_json(text)
    with source_of(VERDICTS, server, key, data_dir) as verdicts:
        whole = [Verdict.model_validate_json(verdicts.whole_verdict(one.id)) for one in standing(document)]
    console.print(document_panel(document, whole))
