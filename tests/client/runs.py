"""A run as the API shows it, for scripts."""

from typing import Any, Final

RUN_ID: Final = "0197f3a0-0000-7000-8000-000000000001"
VERDICT_ID: Final = "0197f3a0-0000-7000-8000-000000000002"
RUN_PATH: Final = f"/v1/reproductions/{RUN_ID}"


def run_json(state: str = "running", done: int = 0, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  # any field
    """The run in this state, so far."""
    ended = state not in {"queued", "running"}
    moment = "2026-11-25T12:00:00.000Z"
    return {
        "id": RUN_ID,
        "paper_arxiv_id": "2101.00001",
        "paper_version": 1,
        "claim_id": "0197f3a0-0000-7000-8000-000000000003",
        "driver": "tiny",
        "agent_version": "v0.1.0-tiny",
        "kind": "POST",
        "slice": {"kind": "full", "size": None, "seed": 0},
        "state": state,
        "done": ended,
        "stage": None,
        "progress": {"done": done, "total": 12, "correct": done},
        "estimate": None,
        "queue_position": None,
        "priority": 5,
        "attempt": 1,
        "max_attempts": 3,
        "worker": None,
        "cancel_requested": False,
        "requested_at": moment,
        "started_at": moment,
        "heartbeat_at": moment,
        "finished_at": moment if ended else None,
        "deadline_at": moment,
        "error": None,
        "verdict_id": VERDICT_ID if state == "succeeded" else None,
        "verdict_status": "reproduced" if state == "succeeded" else None,
    } | changes
