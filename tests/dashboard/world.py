"""Papers, verdicts and runs of every kind that a page can show."""

from dataclasses import dataclass
from typing import Any, Final

from app.core.db import Database
from app.protocol.errors import DriverError
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.lease import give_up
from app.verdicts.conclude import conclude_run
from tests.api.helpers import PAPER, Api, ok, predictions_body
from tests.factories.drivers import LABELS, SIZE, Subject, make_subject
from tests.factories.runs import QUEUE, ask, beat, facts, predictions, take
from tests.factories.verdicts import issue_verdict

SPLIT_FILE: Final = "data/split.parquet"
TINY: Final = "2101.00001"
OLD_STYLE: Final = "hep-th/9901001"
DRAFT: Final = "draft:of-mine"
DATA: Final = {"source": {"path": SPLIT_FILE}, "group_column": "genre"}


def texts_table() -> dict[str, list[Any]]:
    """The tiny split: texts that can be told apart, one of them hostile, in two genres."""
    premises = [f"premise number {i}" for i in range(SIZE)]
    premises[4] = "<b>A needle</b> & \u202ehay"
    return {
        "premise": premises,
        "hypothesis": [f"hypothesis number {i}" for i in range(SIZE)],
        "label": [i % len(LABELS) for i in range(SIZE)],
        "genre": ["fiction" if i < SIZE // 2 else "travel" for i in range(SIZE)],
    }


@dataclass(frozen=True)
class World:
    """What there is, by ids."""

    tiny: Subject
    ran: str
    ran_again: str
    counted: str
    listed: str
    imported: str
    runs: dict[str, str]

    @property
    def pages(self) -> list[str]:
        """An address of each page, in each of its shapes."""
        papers = [TINY, PAPER, OLD_STYLE, DRAFT, f"{PAPER}v1"]
        verdicts = [self.ran, self.ran_again, self.counted, self.listed, self.imported]
        return [
            "/",
            "/?q=title&status=none&sort=arxiv_id&category=&venue=&withdrawn=false",
            "/?q=nothing-has-this",
            *(f"/papers/{paper}" for paper in papers),
            f"/papers/{PAPER}?kind=PRE",
            f"/papers/{TINY}/reproduce",
            f"/papers/{OLD_STYLE}/reproduce",
            *(f"/verdicts/{verdict}" for verdict in verdicts),
            f"/verdicts/{self.ran}/examples",
            f"/verdicts/{self.ran}/examples?q=needle&gold=neutral&show=all",
            f"/verdicts/{self.listed}/examples",
            f"/verdicts/{self.counted}/examples",
            f"/compare/{self.ran}/{self.ran_again}",
            f"/compare/{self.ran}/{self.ran}",
            "/queue",
            *(f"/reproductions/{run}" for run in self.runs.values()),
            "/drivers",
            f"/drivers/{self.tiny.slug}",
            "/workers",
        ]


def conclude(database: Database, subject: Subject, digest: str, wrong: list[int]) -> str:
    """A run of the tiny split from its request to its verdict; the verdict's id."""
    ask(database, subject)
    lease = take(database)
    beat(database, lease, predictions(wrong=wrong))
    stated = facts()
    stated["data"] |= {"fingerprint": "of-tiny", "file_sha256": digest, "name": "Tiny", "split": "validation"}
    with database.unit_of_work() as session:
        return str(conclude_run(session, lease, stated).id)


def make_world(client: Api, database: Database, digest: str) -> World:
    """Make it."""
    tiny = make_subject(database, data=DATA)
    ran = conclude(database, tiny, digest, [1, 4, 8])
    ran_again = conclude(database, tiny, digest, [1, 2, 3])
    client.put_paper(PAPER, venue="ICLR 2023", primary_category="cs.CL", published_at="2021-11-18T00:00:00Z")
    client.post_claim(pdf_page=6, notes="A note.", n_items=9815)
    client.post_verdict()
    client.post_verdict(PAPER, kind="PRE")
    counted = client.post_verdict(evidence={"counts": [{"n": 200, "correct": 168, "total": 9815}]})["id"]
    pairs = [("neutral", "neutral"), ("neutral", "entailment"), ("contradiction", "contradiction")] * 9
    listed = ok(client.post(f"/v1/papers/{PAPER}/verdicts", json=predictions_body(pairs)), 201)["id"]
    client.put_paper(OLD_STYLE, title="An old paper", withdrawn=True)
    client.put_paper(DRAFT, title="A draft")
    imported = issue_verdict(database, make_subject(database, "other", "2101.00002"))
    return World(tiny, ran, ran_again, counted, listed, str(imported), _runs(database, tiny))


def _runs(database: Database, subject: Subject) -> dict[str, str]:
    """A run in each state; those that wait come last, so that nobody takes them."""
    runs = {}
    runs["failed"] = ask(database, subject)
    lease = take(database, "worker-2")
    with database.unit_of_work() as session:
        give_up(session, lease, DriverError("dataset_missing", "data/<gone> is not there."), QUEUE)
    runs["running"] = ask(database, subject, force=True)
    beat(database, take(database), predictions(range(7), wrong=[2]))
    runs["cancelled"] = ask(database, subject, slice_size=6)
    with database.unit_of_work() as session:
        cancel_reproduction(session, runs["cancelled"])
    runs["queued"] = ask(database, subject, slice_size=9)
    ask(database, subject, slice_size=8, priority=0)
    return {name: str(run) for name, run in runs.items()}
