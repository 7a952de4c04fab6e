"""The database refuses by itself what no bug above it may bring in: plain SQL, no code of the service."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from math import inf, nan
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from app.embedded import ServerUrls
from app.embedded.postgres import plain_dsn
from app.models import Base, ReproductionState, Verdict
from tests.factories.databases import copied, opened
from tests.models.guarded_world import (
    CHECK,
    FOREIGN_KEY,
    NOT_NULL,
    UNIQUE,
    World,
    insert,
    make_world,
    refused,
    update,
)

Connection = psycopg.Connection
Row = dict[str, object]

NOW = datetime(2026, 8, 22, tzinfo=UTC)
NOWHERE = uuid4()
STATES = list(ReproductionState)
TERMINAL = [state for state in STATES if state.done]
NEVER_DELETED = (
    "papers",
    "paper_versions",
    "claims",
    "drivers",
    "reproductions",
    "verdicts",
    "evidence",
    "predictions",
    "progress_points",
    "api_keys",
    "audit_log",
)


@pytest.fixture(scope="module")
def url(servers: ServerUrls, maintenance: Connection, template_database: str) -> Iterator[str]:
    with copied(servers, maintenance, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def world(url: str) -> World:
    with opened(url) as database:
        return make_world(database)


@pytest.fixture(scope="module")
def sql_session(url: str, world: World) -> Iterator[Connection]:
    assert world
    with psycopg.connect(plain_dsn(url), autocommit=True) as connection:
        yield connection


# --- verdicts: inserted


def _first_verdict(world: World) -> Row:
    """A row that is accepted: the first verdict of a line."""
    return {
        "id": uuid4(),
        "paper_id": world.paper,
        "paper_version_id": world.version,
        "claim_id": world.claim_without_verdict,
        "kind": "POST",
        "sequence": 1,
        "origin": "imported",
        "status": "reproduced",
        "score": 0.75,
        "confidence": 0.8,
        "agent_version": "v0.1.0-tiny",
        "computed_at": NOW,
        "protocol_match": "proxy",
        "is_current": True,
    }


def _third_verdict(world: World) -> Row:
    """A row that would continue the line with two verdicts, were the second one flipped before."""
    return _first_verdict(world) | {"claim_id": world.claim, "sequence": 3, "supersedes_id": world.current}


def test_the_rows_that_the_refusals_start_from_are_accepted(sql_session: Connection, world: World) -> None:
    with sql_session.transaction(force_rollback=True):
        insert(sql_session, "verdicts", _first_verdict(world))
        third = _third_verdict(world)
        flip = {"is_current": False, "superseded_by_id": third["id"], "superseded_at": NOW}
        assert update(sql_session, "verdicts", world.current, flip) == 1
        insert(sql_session, "verdicts", third)
        sql_session.execute("SET CONSTRAINTS ALL IMMEDIATE")


BAD_VERDICTS: dict[str, tuple[Callable[[World], Row], str, str]] = {
    "not current": (
        lambda _: {"is_current": False, "superseded_by_id": NOWHERE, "superseded_at": NOW},
        CHECK,
        "a new verdict is the current one",
    ),
    "not current and not superseded": (lambda _: {"is_current": False}, CHECK, "a new verdict is the current one"),
    "gap at the start": (lambda _: {"sequence": 2}, CHECK, "have no gaps"),
    "sequence 0": (lambda _: {"sequence": 0}, CHECK, "have no gaps"),
    "first that supersedes": (lambda w: {"supersedes_id": w.current}, CHECK, "ck_verdicts_sequence"),
    "first that is superseded": (lambda w: {"superseded_by_id": w.current}, CHECK, "ck_verdicts_superseded"),
    "first superseded some time": (lambda _: {"superseded_at": NOW}, CHECK, "ck_verdicts_superseded_at"),
    "status unknown": (lambda _: {"status": "maybe"}, CHECK, "ck_verdicts_status"),
    "kind unknown": (lambda _: {"kind": "DURING"}, CHECK, "ck_verdicts_kind"),
    "origin unknown": (
        lambda w: {"origin": "guessed", "evidence_id": w.unused_evidence, "decision": {}},
        CHECK,
        "ck_verdicts_origin",
    ),
    "protocol match unknown": (lambda _: {"protocol_match": "close"}, CHECK, "ck_verdicts_protocol_match"),
    "score above 1": (lambda _: {"score": 1.0000001}, CHECK, "ck_verdicts_score"),
    "score below -1": (lambda _: {"score": -1.0000001}, CHECK, "ck_verdicts_score"),
    "score NaN": (lambda _: {"score": nan}, CHECK, "ck_verdicts_score"),
    "score infinite": (lambda _: {"score": inf}, CHECK, "ck_verdicts_score"),
    "confidence above 1": (lambda _: {"confidence": 1.5}, CHECK, "ck_verdicts_confidence"),
    "confidence below 0": (lambda _: {"confidence": -1.0}, CHECK, "ck_verdicts_confidence"),
    "confidence NaN": (lambda _: {"confidence": nan}, CHECK, "ck_verdicts_confidence"),
    "score missing": (lambda _: {"score": None}, NOT_NULL, "score"),
    "posted without evidence": (lambda _: {"origin": "posted"}, CHECK, "ck_verdicts_evidence"),
    "posted without decision": (
        lambda w: {"origin": "posted", "evidence_id": w.unused_evidence},
        CHECK,
        "ck_verdicts_evidence",
    ),
    "imported with a run": (lambda w: {"reproduction_id": w.current_run}, CHECK, "ck_verdicts_reproduction"),
    "reproduction without a run": (
        lambda w: {"origin": "reproduction", "evidence_id": w.unused_evidence, "decision": {}},
        CHECK,
        "ck_verdicts_reproduction",
    ),
    "claim of another paper": (lambda w: {"claim_id": w.other_claim}, FOREIGN_KEY, "fk_verdicts_claim_id_paper_id"),
    "claim that is not there": (lambda _: {"claim_id": NOWHERE}, FOREIGN_KEY, "fk_verdicts_claim_id_paper_id"),
    "version of another paper": (
        lambda w: {"paper_version_id": w.other_version},
        FOREIGN_KEY,
        "fk_verdicts_paper_version_id_paper_id",
    ),
    "evidence that is not there": (lambda _: {"evidence_id": NOWHERE}, FOREIGN_KEY, "fk_verdicts_evidence_id"),
}


@pytest.mark.parametrize("case", BAD_VERDICTS)
def test_a_bad_verdict_is_refused(case: str, sql_session: Connection, world: World) -> None:
    changes, sqlstate, message = BAD_VERDICTS[case]
    with refused(sql_session, sqlstate, message):
        insert(sql_session, "verdicts", _first_verdict(world) | changes(world))


BAD_SUCCESSORS: dict[str, tuple[Callable[[World], Row], str]] = {
    "predecessor still current": (lambda _: {}, "supersedes the one before it"),
    "repeated number": (lambda w: {"sequence": 2, "supersedes_id": w.first}, "have no gaps"),
    "left out number": (lambda _: {"sequence": 4}, "have no gaps"),
    "predecessor left out": (lambda _: {"supersedes_id": None}, "supersedes the one before it"),
    "predecessor not the last": (lambda w: {"supersedes_id": w.first}, "supersedes the one before it"),
    "predecessor of the other kind": (lambda w: {"supersedes_id": w.pre}, "supersedes the one before it"),
}


@pytest.mark.parametrize("case", BAD_SUCCESSORS)
def test_a_bad_successor_is_refused(case: str, sql_session: Connection, world: World) -> None:
    changes, message = BAD_SUCCESSORS[case]
    with refused(sql_session, CHECK, message):
        insert(sql_session, "verdicts", _third_verdict(world) | changes(world))


def test_a_second_current_verdict_is_refused_even_without_triggers(sql_session: Connection, world: World) -> None:
    with refused(sql_session, UNIQUE, "uq_verdicts_current"):
        sql_session.execute("ALTER TABLE verdicts DISABLE TRIGGER USER")
        insert(sql_session, "verdicts", _third_verdict(world))


def test_a_repeated_number_is_refused_even_without_triggers(sql_session: Connection, world: World) -> None:
    with refused(sql_session, UNIQUE, "uq_verdicts_claim_id_kind_sequence"):
        sql_session.execute("ALTER TABLE verdicts DISABLE TRIGGER USER")
        sql_session.execute("DROP INDEX uq_verdicts_current")
        insert(sql_session, "verdicts", _third_verdict(world) | {"sequence": 2})


# --- verdicts: changed


def _other_value(column: str, world: World) -> object:
    """A value that the column accepts but the row does not hold."""
    values: Row = {
        "id": uuid4(),
        "paper_id": world.other_paper,
        "paper_version_id": world.other_version,
        "claim_id": world.claim_without_verdict,
        "kind": "PRE",
        "sequence": 9,
        "origin": "posted",
        "status": "inconclusive",
        "score": 0.5,
        "confidence": 0.5,
        "agent_version": "v9.9.9-other",
        "computed_at": NOW,
        "protocol_match": "exact",
        "protocol_axes": {"model": "proxy"},
        "decision": {"delta": 0.5},
        "reproduction_id": world.runs[ReproductionState.failed],
        "evidence_id": world.unused_evidence,
        "supersedes_id": world.pre,
        "is_current": True,
        "superseded_by_id": None,
        "superseded_at": None,
    }
    return values[column]


FLIPPED = ("is_current", "superseded_by_id", "superseded_at")
COLUMNS = [column.name for column in Verdict.__table__.columns]


@pytest.mark.parametrize("column", [column for column in COLUMNS if column not in FLIPPED])
def test_the_current_verdict_never_changes(column: str, sql_session: Connection, world: World) -> None:
    with refused(sql_session, CHECK, "a verdict never changes"):
        update(sql_session, "verdicts", world.current, {column: _other_value(column, world)})


@pytest.mark.parametrize("column", COLUMNS)
def test_a_superseded_verdict_never_changes(column: str, sql_session: Connection, world: World) -> None:
    with refused(sql_session, CHECK, "a verdict never changes"):
        update(sql_session, "verdicts", world.first, {column: _other_value(column, world)})


@pytest.mark.parametrize("column", [column for column in COLUMNS if column not in FLIPPED])
def test_flipping_changes_nothing_else(column: str, sql_session: Connection, world: World) -> None:
    third = _third_verdict(world)
    flip = {"is_current": False, "superseded_by_id": third["id"], "superseded_at": NOW}
    with refused(sql_session, CHECK, "a verdict never changes"):
        update(sql_session, "verdicts", world.current, flip | {column: _other_value(column, world)})


def test_a_superseded_verdict_does_not_become_current_again(sql_session: Connection, world: World) -> None:
    restored = {"is_current": True, "superseded_by_id": None, "superseded_at": None}
    with refused(sql_session, CHECK, "a verdict never changes"):
        update(sql_session, "verdicts", world.first, restored)


@pytest.mark.parametrize(
    ("flip", "sqlstate", "message"),
    [
        ({"is_current": False}, CHECK, "ck_verdicts_superseded"),
        ({"is_current": False, "superseded_at": NOW}, CHECK, "ck_verdicts_superseded"),
        ({"is_current": False, "superseded_by_id": NOWHERE}, CHECK, "ck_verdicts_superseded_at"),
        ({"superseded_at": NOW}, CHECK, "ck_verdicts_superseded_at"),
        ({"superseded_by_id": NOWHERE}, CHECK, "ck_verdicts_superseded"),
        (
            {"is_current": False, "superseded_by_id": NOWHERE, "superseded_at": NOW},
            FOREIGN_KEY,
            "fk_verdicts_superseded_by_id",
        ),
    ],
)
def test_no_verdict_is_flipped_without_a_successor(
    flip: Row, sqlstate: str, message: str, sql_session: Connection, world: World
) -> None:
    with refused(sql_session, sqlstate, message):
        update(sql_session, "verdicts", world.current, flip)


@pytest.mark.parametrize("by", ["pre", "current"])
def test_no_verdict_is_superseded_by_one_that_does_not_follow_it(
    by: str, sql_session: Connection, world: World
) -> None:
    flip = {"is_current": False, "superseded_by_id": getattr(world, by), "superseded_at": NOW}
    sqlstate, message = (UNIQUE, "uq_verdicts_superseded_by_id") if by == "current" else (CHECK, "by the next one")
    with refused(sql_session, sqlstate, message):
        update(sql_session, "verdicts", world.current, flip)


def test_no_verdict_is_superseded_by_one_of_another_line(sql_session: Connection, world: World) -> None:
    stranger = _first_verdict(world)
    flip = {"is_current": False, "superseded_by_id": stranger["id"], "superseded_at": NOW}
    with refused(sql_session, CHECK, "superseded by the next one of its line"):
        update(sql_session, "verdicts", world.current, flip)
        insert(sql_session, "verdicts", stranger)


# --- nothing is deleted


@pytest.mark.parametrize("table", NEVER_DELETED)
def test_nothing_is_deleted(table: str, sql_session: Connection) -> None:
    with refused(sql_session, CHECK, "never deleted"):
        sql_session.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))


@pytest.mark.parametrize("table", NEVER_DELETED)
def test_nothing_is_truncated(table: str, sql_session: Connection) -> None:
    with refused(sql_session, CHECK, "never deleted"):
        sql_session.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.Identifier(table)))


def test_every_table_is_guarded_or_known_to_be_free() -> None:
    free = {
        "idempotency_keys",
        "paper_documents",
        "paper_aliases",
        "paper_words",
        "serving_processes",
        "worker_processes",
        "rings",
        "sweep_counts",
    }
    free |= {
        "events",
        "webhooks",
        "webhook_deliveries",
        "webhook_attempts",
    }  # kept for a time
    assert set(Base.metadata.tables) == {*NEVER_DELETED, *free}


# --- papers, versions, claims


BAD_IDS = [
    "",
    "2111",
    "2111.095",
    "2113.09543",
    "2100.09543",
    "2111.095430",
    "2111.09543v1",
    " 2111.09543",
    "2111.09543 ",
    "2111.09543\n",
    "x2111.09543",
    "٢١١١.٠٩٥٤٣",
    "\uff12111.09543",
    "hep-th/9901",
    "hep-th/9913001",
    "Hep-th/9901001",
    "math.gt/9901001",
    "hep-th/9901001v2",
    "/9901001",
    "draft:",
    "draft:Upper",
    "draft:two--hyphens",
    "draft:-start",
    "draft:end-",
    "draft:é",
    "../2111.09543",
]
GOOD_IDS = ["2111.09543", "0704.0001", "hep-th/9901001", "math.GT/9912999", "draft:a", "draft:a-b-2"]


def _paper(arxiv_id: str) -> Row:
    return {
        "id": uuid4(),
        "arxiv_id": arxiv_id,
        "title": "T",
        "abstract": "A",
        "withdrawn": False,
        "newest_verdict_at": NOW,
    }


@pytest.mark.parametrize("arxiv_id", BAD_IDS)
def test_a_bad_id_is_refused(arxiv_id: str, sql_session: Connection) -> None:
    with refused(sql_session, CHECK, "ck_papers_arxiv_id"):
        insert(sql_session, "papers", _paper(arxiv_id))


@pytest.mark.parametrize("arxiv_id", GOOD_IDS)
def test_a_good_id_is_accepted(arxiv_id: str, sql_session: Connection) -> None:
    with sql_session.transaction(force_rollback=True):
        insert(sql_session, "papers", _paper(arxiv_id))


def test_an_id_is_given_once(sql_session: Connection) -> None:
    with refused(sql_session, UNIQUE, "uq_papers_arxiv_id"):
        insert(sql_session, "papers", _paper("2101.00001"))


@pytest.mark.parametrize("claim", ["other_claim", "nowhere"])
def test_no_claim_of_another_paper_is_the_headline(claim: str, sql_session: Connection, world: World) -> None:
    headline = NOWHERE if claim == "nowhere" else world.other_claim
    with refused(sql_session, FOREIGN_KEY, "fk_papers_headline_claim"):
        update(sql_session, "papers", world.paper, {"headline_claim_id": headline})


@pytest.mark.parametrize("number", [0, -1, 1, 2, 4])
def test_versions_have_neither_gaps_nor_repeats(number: int, sql_session: Connection, world: World) -> None:
    with refused(sql_session, CHECK, "version numbers have no gaps"):
        insert(sql_session, "paper_versions", {"id": uuid4(), "paper_id": world.paper, "version": number})


def test_a_version_needs_its_paper(sql_session: Connection) -> None:
    with refused(sql_session, FOREIGN_KEY, "fk_paper_versions_paper_id"):
        insert(sql_session, "paper_versions", {"id": uuid4(), "paper_id": NOWHERE, "version": 1})


@pytest.mark.parametrize("column", ["id", "paper_id", "version"])
def test_a_version_keeps_what_it_is(column: str, sql_session: Connection, world: World) -> None:
    values = {"id": uuid4(), "paper_id": world.other_paper, "version": 3}
    with refused(sql_session, CHECK, "keeps its id, paper and number"):
        update(sql_session, "paper_versions", world.version, {column: values[column]})


def _claim(world: World) -> Row:
    return {
        "id": uuid4(),
        "paper_id": world.paper,
        "paper_version_id": world.version,
        "section": "Table 9",
        "row": "A model",
        "column": "Accuracy",
        "reported_value": Decimal("75.0"),
        "decimals": 1,
        "unit": "percent",
        "reported_metric": "accuracy",
        "quoted_text": "75.0",
    }


BAD_CLAIMS: dict[str, tuple[Row, str, str]] = {
    "NaN": ({"reported_value": Decimal("NaN")}, CHECK, "ck_claims_value"),
    "infinite": ({"reported_value": Decimal("Infinity")}, CHECK, "ck_claims_value"),
    "negative": ({"reported_value": Decimal("-0.1")}, CHECK, "ck_claims_value"),
    "above 100": ({"reported_value": Decimal("100.01")}, CHECK, "ck_claims_value"),
    "a fraction above 1": ({"unit": "fraction", "reported_value": Decimal("1.01")}, CHECK, "ck_claims_fraction"),
    "unit unknown": ({"unit": "permille", "reported_value": Decimal("0.5")}, CHECK, "ck_claims_unit"),
    "decimals negative": ({"decimals": -1}, CHECK, "ck_claims_decimals"),
    "page 0": ({"pdf_page": 0}, CHECK, "ck_claims_pdf_page"),
    "no items": ({"n_items": 0}, CHECK, "ck_claims_n_items"),
    "the same citation": ({"section": "Table 1"}, UNIQUE, "uq_claims_citation"),
    "no such paper": ({"paper_id": NOWHERE}, FOREIGN_KEY, "fk_claims_paper_version_id_paper_id"),
    "no such version": ({"paper_version_id": NOWHERE}, FOREIGN_KEY, "fk_claims_paper_version_id_paper_id"),
}


def test_the_claim_that_the_refusals_start_from_is_accepted(sql_session: Connection, world: World) -> None:
    with sql_session.transaction(force_rollback=True):
        insert(sql_session, "claims", _claim(world))


@pytest.mark.parametrize("case", BAD_CLAIMS)
def test_a_bad_claim_is_refused(case: str, sql_session: Connection, world: World) -> None:
    changes, sqlstate, message = BAD_CLAIMS[case]
    with refused(sql_session, sqlstate, message):
        insert(sql_session, "claims", _claim(world) | changes)


def test_a_claim_names_a_version_of_its_own_paper(sql_session: Connection, world: World) -> None:
    with refused(sql_session, FOREIGN_KEY, "fk_claims_paper_version_id_paper_id"):
        insert(sql_session, "claims", _claim(world) | {"paper_version_id": world.other_version})


@pytest.mark.parametrize("table", ["claims", "predictions", "progress_points"])
def test_what_was_claimed_and_measured_never_changes(table: str, sql_session: Connection) -> None:
    for column in Base.metadata.tables[table].columns:
        with refused(sql_session, CHECK, "never changed"):
            name = sql.Identifier(column.name)
            sql_session.execute(sql.SQL("UPDATE {} SET {} = {}").format(sql.Identifier(table), name, name))


# --- evidence


def test_evidence_is_written_once(sql_session: Connection, world: World) -> None:
    run = world.current_run
    for content in ("NULL", "'{}'::jsonb", "content || '{\"confusion\": null}'"):
        with refused(sql_session, CHECK, "evidence is written once"):
            sql_session.execute(
                sql.SQL(
                    "UPDATE evidence SET content = {} WHERE id = (SELECT evidence_id FROM reproductions WHERE id = %s)"
                ).format(sql.SQL(content)),
                [run],
            )


def test_evidence_keeps_its_id(sql_session: Connection, world: World) -> None:
    with refused(sql_session, CHECK, "evidence is written once"):
        update(sql_session, "evidence", world.unused_evidence, {"id": uuid4()})


BAD_PREDICTIONS: dict[str, tuple[Row, str, str]] = {
    "gold negative": ({"gold": -1}, CHECK, "ck_predictions_classes"),
    "predicted negative": ({"predicted": -1}, CHECK, "ck_predictions_classes"),
    "row negative": ({"row": -1}, CHECK, "ck_predictions_row"),
    "logit NaN": ({"logits": [0.5, nan, 0.1]}, CHECK, "ck_predictions_logits"),
    "logit infinite": ({"logits": [inf, 0.1, 0.1]}, CHECK, "ck_predictions_logits"),
    "logit minus infinite": ({"logits": [0.1, 0.1, -inf]}, CHECK, "ck_predictions_logits"),
    "logit missing": ({"logits": [0.1, None, 0.1]}, CHECK, "ck_predictions_logits"),
    "no such evidence": ({"evidence_id": NOWHERE}, FOREIGN_KEY, "fk_predictions_evidence_id"),
}


def _prediction(world: World) -> Row:
    return {
        "evidence_id": world.unused_evidence,
        "row": 0,
        "item_id": "0",
        "gold": 0,
        "predicted": 1,
        "logits": [0.1, 0.5, 0.2],
    }


def test_a_prediction_comes_once(sql_session: Connection, world: World) -> None:
    with refused(sql_session, UNIQUE, "pk_predictions"):
        insert(sql_session, "predictions", _prediction(world))
        insert(sql_session, "predictions", _prediction(world))


@pytest.mark.parametrize("case", BAD_PREDICTIONS)
def test_a_bad_prediction_is_refused(case: str, sql_session: Connection, world: World) -> None:
    changes, sqlstate, message = BAD_PREDICTIONS[case]
    with refused(sql_session, sqlstate, message):
        insert(sql_session, "predictions", _prediction(world) | changes)


def test_a_verdicts_evidence_gains_no_predictions(sql_session: Connection, world: World) -> None:
    with refused(sql_session, CHECK, "the evidence of a verdict is complete"):
        sql_session.execute(
            "INSERT INTO predictions (evidence_id, row, item_id, gold, predicted) "
            "SELECT evidence_id, 99, '99', 0, 0 FROM verdicts WHERE id = %s",
            [world.current],
        )


# --- runs


def _columns_of(state: ReproductionState) -> Row:
    """What a run in this state has to have beside it."""
    return {
        "state": state.value,
        "lease_until": NOW if state is ReproductionState.running else None,
        "finished_at": NOW if state.done else None,
        "error": {"code": "x"} if state is ReproductionState.failed else None,
    }


Q, R, S, F, C, E = STATES
ALLOWED = {(Q, Q), (Q, R), (Q, F), (Q, C), (Q, E), (R, R), (R, Q), (R, S), (R, F), (R, C)}
FORBIDDEN = [pair for pair in product(STATES, STATES) if pair not in ALLOWED]


def test_the_states_are_the_six_of_the_domain() -> None:
    assert [state.value for state in STATES] == ["queued", "running", "succeeded", "failed", "cancelled", "expired"]


@pytest.mark.parametrize(("before", "after"), sorted(ALLOWED))
def test_an_allowed_transition_is_accepted(
    before: ReproductionState, after: ReproductionState, sql_session: Connection, world: World
) -> None:
    with sql_session.transaction(force_rollback=True):
        taken = {"fence": 1} if (before, after) == (Q, R) else {}
        assert update(sql_session, "reproductions", world.runs[before], {**_columns_of(after), **taken}) == 1


@pytest.mark.parametrize(("before", "after"), FORBIDDEN)
def test_a_forbidden_transition_is_refused(
    before: ReproductionState, after: ReproductionState, sql_session: Connection, world: World
) -> None:
    message = "a terminal state never changes" if before.done else "this transition of states is not allowed"
    with refused(sql_session, CHECK, message):
        update(sql_session, "reproductions", world.runs[before], _columns_of(after))


RUN_COLUMNS = [column.name for column in Base.metadata.tables["reproductions"].columns]


@pytest.mark.parametrize(("state", "column"), list(product(TERMINAL, RUN_COLUMNS)))
def test_a_run_that_has_ended_never_changes(
    state: ReproductionState, column: str, sql_session: Connection, world: World
) -> None:
    name = sql.Identifier(column)
    with refused(sql_session, CHECK, "a terminal state never changes"):
        statement = sql.SQL("UPDATE reproductions SET {} = {} WHERE id = %s").format(name, name)
        sql_session.execute(statement, [world.runs[state]])


@pytest.mark.parametrize(
    "column",
    [
        "id",
        "paper_id",
        "paper_version_id",
        "claim_id",
        "driver_id",
        "kind",
        "spec",
        "config_digest",
        "forced",
        "requested_at",
        "evidence_id",
        "requested_by",
        "turn",
    ],
)
@pytest.mark.parametrize("state", [Q, R])
def test_what_a_run_was_asked_for_never_changes(
    state: ReproductionState, column: str, sql_session: Connection, world: World
) -> None:
    values: Row = {
        "id": uuid4(),
        "paper_id": world.other_paper,
        "paper_version_id": world.other_version,
        "claim_id": world.claim_without_verdict,
        "driver_id": NOWHERE,
        "kind": "POST" if state is Q else "PRE",
        "spec": {},
        "config_digest": "0",
        "forced": True,
        "requested_at": NOW,
        "evidence_id": world.unused_evidence,
        "requested_by": world.key,
        "turn": 99,
    }
    with refused(sql_session, CHECK, "what a run was asked for never changes"):
        update(sql_session, "reproductions", world.runs[state], {column: values[column]})


def test_each_attempt_has_a_fence_of_its_own(sql_session: Connection, world: World) -> None:
    with refused(sql_session, CHECK, "each attempt has a fence of its own"):
        update(sql_session, "reproductions", world.runs[Q], {**_columns_of(R), "worker": "first"})
    with refused(sql_session, CHECK, "each attempt has a fence of its own"):
        update(sql_session, "reproductions", world.runs[R], {"worker": "another"})


@pytest.mark.parametrize("state", [state for state in STATES if state not in {R, S}])
def test_a_run_that_is_not_running_gains_no_predictions(
    state: ReproductionState, sql_session: Connection, world: World
) -> None:
    with refused(sql_session, CHECK, "predictions are stored while their run is running"):
        sql_session.execute(
            "INSERT INTO predictions (evidence_id, row, item_id, gold, predicted) "
            "SELECT evidence_id, 11, '11', 0, 0 FROM reproductions WHERE id = %s",
            [world.runs[state]],
        )


def test_the_fence_never_falls(sql_session: Connection, world: World) -> None:
    with refused(sql_session, CHECK, "the fence never falls"):
        update(sql_session, "reproductions", world.runs[R], {"fence": 0, "attempt": 0})


BAD_RUNS: dict[str, tuple[ReproductionState, Row, str]] = {
    "a lease while queued": (Q, {"lease_until": NOW}, "ck_reproductions_lease"),
    "running without a lease": (R, {"lease_until": None}, "ck_reproductions_lease"),
    "finished while queued": (Q, {"finished_at": NOW}, "ck_reproductions_finished"),
    "ended without a moment": (Q, {"state": "cancelled"}, "ck_reproductions_finished"),
    "failed without a reason": (Q, {"state": "failed", "finished_at": NOW}, "ck_reproductions_failed_says_why"),
    "priority 10": (Q, {"priority": 10}, "ck_reproductions_priority"),
    "priority -1": (Q, {"priority": -1}, "ck_reproductions_priority"),
    "more attempts than fences": (R, {"attempt": 2}, "ck_reproductions_attempt"),
    "more attempts than allowed": (R, {"attempt": 4, "fence": 4}, "ck_reproductions_attempt"),
    "attempts below 0": (R, {"attempt": -1}, "ck_reproductions_attempt"),
    "more right than done": (R, {"progress_done": 1, "progress_correct": 2}, "ck_reproductions_progress"),
    "less than nothing right": (R, {"progress_correct": -1}, "ck_reproductions_progress"),
    "more done than there is": (R, {"progress_done": 13, "progress_total": 12}, "ck_reproductions_progress"),
    "state unknown": (Q, {"state": "paused", "finished_at": NOW}, "ck_reproductions_state"),
}


@pytest.mark.parametrize("case", BAD_RUNS)
def test_a_bad_run_is_refused(case: str, sql_session: Connection, world: World) -> None:
    state, changes, constraint = BAD_RUNS[case]
    with refused(sql_session, CHECK, constraint):
        update(sql_session, "reproductions", world.runs[state], changes)


def _copy_of_a_run(connection: Connection, run: UUID, changes: Mapping[str, object]) -> None:
    """Insert the run once more, with a new id and its own evidence but for `changes`."""
    evidence, values = uuid4(), {"id": uuid4(), **changes}
    insert(connection, "evidence", {"id": evidence})
    values.setdefault("evidence_id", evidence)
    columns = [sql.Placeholder(name) if name in values else sql.Identifier(name) for name in RUN_COLUMNS]
    statement = sql.SQL("INSERT INTO reproductions ({}) SELECT {} FROM reproductions WHERE id = {}").format(
        sql.SQL(", ").join(map(sql.Identifier, RUN_COLUMNS)), sql.SQL(", ").join(columns), sql.Literal(run)
    )
    connection.execute(statement, values)


def test_a_forced_copy_of_a_run_is_accepted(sql_session: Connection, world: World) -> None:
    with sql_session.transaction(force_rollback=True):
        _copy_of_a_run(sql_session, world.runs[Q], {"forced": True})
        sql_session.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_the_same_run_is_in_flight_once(sql_session: Connection, world: World) -> None:
    with refused(sql_session, UNIQUE, "uq_reproductions_in_flight"):
        _copy_of_a_run(sql_session, world.runs[Q], {})


@pytest.mark.parametrize("state", [state for state in STATES if state is not Q])
def test_a_run_starts_queued(state: ReproductionState, sql_session: Connection, world: World) -> None:
    with refused(sql_session, CHECK, "a run starts queued"):
        _copy_of_a_run(sql_session, world.runs[state], {"forced": True})


@pytest.mark.parametrize(
    ("column", "constraint"),
    [
        ("driver_id", "fk_reproductions_driver_id"),
        ("claim_id", "fk_reproductions_claim_id_paper_id"),
        ("paper_version_id", "fk_reproductions_paper_version_id_paper_id"),
        ("evidence_id", "fk_reproductions_evidence_id"),
    ],
)
def test_a_run_is_about_what_is_there(column: str, constraint: str, sql_session: Connection, world: World) -> None:
    with refused(sql_session, FOREIGN_KEY, constraint):
        _copy_of_a_run(sql_session, world.runs[Q], {"forced": True, column: NOWHERE})


def test_a_run_is_about_one_paper(sql_session: Connection, world: World) -> None:
    with refused(sql_session, FOREIGN_KEY, "fk_reproductions_claim_id_paper_id"):
        _copy_of_a_run(sql_session, world.runs[Q], {"forced": True, "claim_id": world.other_claim})


def test_two_runs_do_not_share_evidence(sql_session: Connection, world: World) -> None:
    row = sql_session.execute("SELECT evidence_id FROM reproductions WHERE id = %s", [world.runs[Q]]).fetchone()
    assert row
    with refused(sql_session, UNIQUE, "uq_reproductions_evidence_id"):
        _copy_of_a_run(sql_session, world.runs[Q], {"forced": True, "evidence_id": row[0]})


# --- runs and their verdicts


def test_no_run_succeeds_without_a_verdict(sql_session: Connection, world: World) -> None:
    with refused(sql_session, CHECK, "a run succeeds by its verdict"):
        update(sql_session, "reproductions", world.runs[R], _columns_of(S))


def _verdict_of_run(connection: Connection, world: World, run: UUID) -> Row:
    """The next verdict of its line, as the run would give it."""
    found = connection.execute(
        "SELECT kind, paper_version_id, evidence_id FROM reproductions WHERE id = %s", [run]
    ).fetchone()
    assert found
    kind, version, evidence = found
    line = {"POST": (3, world.current), "PRE": (2, world.pre)}
    sequence, before = line[kind]
    return _first_verdict(world) | {
        "origin": "reproduction",
        "reproduction_id": run,
        "evidence_id": evidence,
        "decision": {},
        "claim_id": world.claim,
        "kind": kind,
        "paper_version_id": version,
        "sequence": sequence,
        "supersedes_id": before,
    }


def _issue(connection: Connection, verdict: Row) -> None:
    before = verdict["supersedes_id"]
    if isinstance(before, UUID):
        flip = {"is_current": False, "superseded_by_id": verdict["id"], "superseded_at": NOW}
        assert update(connection, "verdicts", before, flip) == 1
    insert(connection, "verdicts", verdict)


def test_a_run_succeeds_by_its_verdict(sql_session: Connection, world: World) -> None:
    verdict = _verdict_of_run(sql_session, world, world.runs[R])
    with sql_session.transaction(force_rollback=True):
        update(sql_session, "reproductions", world.runs[R], _columns_of(S))
        _issue(sql_session, verdict)
        sql_session.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize("state", [state for state in STATES if state is not S])
def test_no_verdict_comes_from_a_run_that_did_not_succeed(
    state: ReproductionState, sql_session: Connection, world: World
) -> None:
    verdict = _verdict_of_run(sql_session, world, world.runs[state])
    with refused(sql_session, CHECK, "a verdict comes from a successful run"):
        _issue(sql_session, verdict)


def test_a_run_gives_one_verdict(sql_session: Connection, world: World) -> None:
    verdict = _verdict_of_run(sql_session, world, world.current_run)
    verdict["evidence_id"] = world.unused_evidence
    with refused(sql_session, UNIQUE, "uq_verdicts_reproduction_id"):
        _issue(sql_session, verdict)


def test_evidence_gives_one_verdict(sql_session: Connection, world: World) -> None:
    verdict = _verdict_of_run(sql_session, world, world.current_run)
    verdict |= {"origin": "posted", "reproduction_id": None}
    with refused(sql_session, UNIQUE, "uq_verdicts_evidence_id"):
        _issue(sql_session, verdict)


@pytest.mark.parametrize("about", ["claim_id", "kind", "evidence_id", "paper_version_id"])
def test_a_verdict_is_about_what_its_run_measured(about: str, sql_session: Connection, world: World) -> None:
    other: dict[str, Row] = {
        "claim_id": {"claim_id": world.claim_without_verdict, "sequence": 1, "supersedes_id": None},
        "kind": {"kind": "PRE", "sequence": 2, "supersedes_id": world.pre},
        "evidence_id": {"evidence_id": world.unused_evidence},
        "paper_version_id": {"paper_version_id": world.version},
    }
    verdict = _verdict_of_run(sql_session, world, world.runs[R])
    assert all(verdict[name] != value for name, value in other[about].items())
    with refused(sql_session, CHECK, "a verdict comes from a successful run"):
        update(sql_session, "reproductions", world.runs[R], _columns_of(S))
        _issue(sql_session, verdict | other[about])
