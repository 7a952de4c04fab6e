"""Health of the process and readiness of what it depends on."""

from typing import Final, Literal, cast

import redis
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from app.core.db import Database
from app.core.migrate import alembic_config
from app.core.routes import OperationsRoute
from app.core.web import SettingsDep

_UNKEPT: Final = {"Cache-Control": "no-store"}
router = APIRouter(tags=["operations"], route_class=OperationsRoute)


class HealthRead(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class ReadinessRead(BaseModel):
    """Whether all is there, and what each part says."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = Field(examples=[{"database": "ok", "migrations": "ok", "redis": "ok"}])


@router.get("/healthz", operation_id="getHealth", response_model=HealthRead)
async def healthz() -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"}, headers=_UNKEPT)


@router.get(
    "/readyz",
    operation_id="getReadiness",
    response_model=ReadinessRead,
    responses={503: {"description": "Something is missing", "model": ReadinessRead}},
)
def readyz(request: Request, settings: SettingsDep) -> Response:
    """Whether the database answers with its schema at head, and Redis answers; says which does not."""
    database = cast("Database", request.app.state.database)
    checks = {"database": _database(database), "migrations": _migrations(database), "redis": _redis(settings.redis_url)}
    # Redis only carries hints: without it reproductions are still accepted, and found by the sweep.
    ready = checks["database"] == checks["migrations"] == "ok"
    return JSONResponse({"status": "ok" if ready else "unavailable", "checks": checks}, 200 if ready else 503, _UNKEPT)


def _database(database: Database) -> str:
    try:
        database.ping()
    except SQLAlchemyError:
        return "does not answer"
    return "ok"


def _migrations(database: Database) -> str:
    head = ScriptDirectory.from_config(alembic_config("")).get_current_head()
    try:
        with database.engine.connect() as connection:
            at = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError:
        return "unknown"
    return "ok" if at == head else f"at {at}, not at {head}: run `verdicts migrate`"


def _redis(url: str | None) -> str:
    client = redis.Redis.from_url(url or "", socket_timeout=1, socket_connect_timeout=1)
    try:
        client.ping()
    except redis.ResponseError as error:
        return f"refuses: {str(error).partition(' ')[0]}"  # MISCONF: its disk is full
    except redis.RedisError:
        return "does not answer"
    finally:
        client.close()
    return "ok"
