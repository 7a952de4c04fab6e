"""`verdicts import`: a paper comes in, from arXiv or from another service."""

import re
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.failures import UNREACHABLE, CommandError
from app.cli.options import DataDirOption, JsonOption, KeyOption, ServerOption, paper_of
from app.cli.plain import plain
from app.cli.show import console
from app.cli.source import IMPORTS, source_of
from app.client.models import DocumentImported, PaperDocument

_NO_FILE: Final = re.compile(r"(?i:draft|arxiv):.*|https?://.*|[a-zA-Z.-]+/\d{7}(v\d+)?|\d{4}\.\d{4,5}(v\d+)?")
"""What looks like a paper's id, or like more than that, and is no name of a file, unless there is one of it."""


def import_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|ID",
            help="A paper document of another service (JSON; - is standard input), or a paper's arXiv id.",
        ),
    ],
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Import a paper: its metadata from arXiv, or its document with all verdicts.

    A document comes in with its verdicts, ids and times kept. With --server that takes a key with the scope admin.
    """
    from_arxiv = _NO_FILE.fullmatch(what) is not None and not Path(what).is_file()
    document = "" if from_arxiv and paper_of(what) else _read(what)
    with source_of(IMPORTS, server, key, data_dir) as source:
        text = source.import_from_arxiv(what) if from_arxiv else source.import_document(document)
    if as_json:
        typer.echo(text)
    elif from_arxiv:
        paper = PaperDocument.model_validate_json(text).paper
        _say(f"{paper.arxiv_id}: {paper.title}")
    else:
        done = DocumentImported.model_validate_json(text)
        _say(f"{done.arxiv_id}: {done.verdicts} verdicts, {done.known} of them known already")


def _read(what: str) -> str:
    try:
        return sys.stdin.read() if what == "-" else Path(what).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        words = f"{what} cannot be read: {reason}; name a file, or an arXiv id like 2004.13606"
        raise CommandError(words, UNREACHABLE) from error


def _say(words: str) -> None:
    console.print(plain(words), highlight=False, markup=False)
