"""A paper in a terminal: what stands for its headline claim, and how each of the numbers follows from the others."""

from collections.abc import Iterable

from rich.console import RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from app.cli.numbers import notation_of, reported, shown
from app.cli.show import any_text, boxed, facts, recount_of, status_text
from app.cli.verdict_panel import decided
from app.client.models import DocumentVerdict, PaperDocument, Verdict
from app.statistics.written import confidence


def standing(document: PaperDocument) -> list[DocumentVerdict]:
    """The verdicts that stand, after publication before the other."""
    return [one for one in (document.verdicts.post, document.verdicts.pre) if one is not None]


def document_panel(document: PaperDocument, verdicts: Iterable[Verdict] = ()) -> Panel:
    """A paper with its verdicts, with what is known of their decisions."""
    paper, whole = document.paper, {one.id: one for one in verdicts}
    known = [paper.primary_category, paper.venue, f"version {document.latest_version.version}"]
    lines: list[RenderableType] = [
        any_text(paper.title, style="bold"),
        any_text(" · ".join(fact for fact in known if fact) + (" · withdrawn" if paper.withdrawn else ""), style="dim"),
    ]
    for verdict in standing(document):
        lines += [Text(""), *_verdict_lines(verdict, whole.get(verdict.id))]
    if document.verdict is None:
        lines += [Text(""), status_text(None)]
    return boxed(paper.arxiv_id, lines)


def _origin(whole: Verdict | None) -> str:
    """What has to be known where this service measured nothing itself."""
    return {"posted": ", who posted the evidence", "imported": ", imported"}.get(whole.origin if whole else "", "")


def _verdict_lines(verdict: DocumentVerdict, whole: Verdict | None) -> list[RenderableType]:
    cited, decision = verdict.claim_citation, whole.estimate if whole else None
    notation = notation_of(cited.reported_value, decision)
    first = Text.assemble((f"{verdict.kind}  ", "bold"), status_text(verdict.status))
    first.append(f"  confidence {confidence(verdict.confidence)}, protocol {verdict.protocol_match}")
    named = [
        ("claim", f"{cited.row}, {cited.column} ({cited.section})"),
        ("reported", f"{reported(cited.reported_value, notation)} ({cited.reported_metric})"),
        *(decided(decision, notation) if decision else [("measured", shown(notation.share(verdict.score)))]),
        ("issued", f"{verdict.computed_at:%Y-%m-%d %H:%M:%S} UTC by {verdict.agent_version}{_origin(whole)}"),
    ]
    model = whole.protocol_axes.model if whole and whole.protocol_axes else None
    recount = [Padding(words, (0, 0, 0, 6)) for words in recount_of(model)]
    return [first, *recount, Padding(facts(named), (0, 0, 0, 6))]
