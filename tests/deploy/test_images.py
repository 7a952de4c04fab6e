"""The Dockerfile and docker-compose.yml say nothing that the code does not hold: no engine is needed to know that."""

import json
import re
import shlex
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from dockerfile_parse import DockerfileParser
from typer.testing import CliRunner

from app.cli.commands import app as cli
from app.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Stage name -> its instructions as (INSTRUCTION, value)."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for item in DockerfileParser(path=str(ROOT / "Dockerfile")).structure:
        if item["instruction"] == "FROM":
            name = item["value"].split(" AS ")[1]
            found[name] = []
        if item["instruction"] != "COMMENT":
            found.setdefault(name, []).append((item["instruction"], item["value"]))
    return found


STAGES = stages()


def lineage(stage: str) -> list[tuple[str, str]]:
    """The instructions of a stage and of those it is built from, first ones first."""
    own = STAGES[stage]
    base = own[0][1].split(" AS ")[0]
    return (lineage(base) if base in STAGES else []) + own


def values(stage: str, instruction: str) -> list[str]:
    return [value for name, value in lineage(stage) if name == instruction]


def commands() -> list[tuple[str, list[str]]]:
    """Every command line that the images or the compose file run, with where it stands."""
    found = [(stage, json.loads(values(stage, "CMD")[-1])) for stage in ("api", "worker")]
    found += [
        (f"{stage} health", json.loads(values(stage, "HEALTHCHECK")[-1].partition("CMD")[2]))
        for stage in ("api", "worker")
    ]
    found += [(name, one["command"]) for name, one in SERVICES.items() if "command" in one]
    return found


def referenced_variables() -> set[str]:
    text = (ROOT / "Dockerfile").read_text() + (ROOT / "docker-compose.yml").read_text()
    return set(re.findall(r"VERDICTS_[A-Z_]+", text)) - {"VERDICTS_DB_PASSWORD"}


@pytest.mark.parametrize(("where", "argv"), [c for c in commands() if c[1][0] == "verdicts"])
def test_every_verdicts_command_exists_with_its_options(where: str, argv: list[str]) -> None:
    command = typer.main.get_command(cli)
    assert hasattr(command, "commands"), where
    parameters = command.commands[argv[1]].params
    options = {name for parameter in parameters for name in parameter.opts}
    assert {word for word in argv[2:] if word.startswith("--")} <= options
    assert CliRunner().invoke(cli, [argv[1], "--help"]).exit_code == 0


@pytest.mark.parametrize(("where", "argv"), [c for c in commands() if c[1][0] == "python"])
def test_every_python_command_names_a_module_that_exists(where: str, argv: list[str]) -> None:
    if argv[1] == "-m":
        assert find_spec(argv[2]) is not None, where
    else:
        compile(argv[2], where, "exec")


def test_commands_are_only_of_programs_we_know() -> None:
    assert {argv[0] for _, argv in commands()} == {"verdicts", "python", "redis-server"}


def test_every_variable_is_a_setting() -> None:
    fields = {f"VERDICTS_{name.upper()}" for name in Settings.model_fields}
    assert referenced_variables()
    assert referenced_variables() <= fields


def test_everything_copied_exists_and_is_not_ignored() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    sources = [
        source
        for _, value in [item for stage in STAGES for item in STAGES[stage] if item[0] == "COPY"]
        if "--from" not in value
        for source in value.split()[:-1]
    ]
    assert len(sources) >= 5
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not any(fnmatch(source, pattern) for pattern in ignored), source


def test_copied_stages_exist() -> None:
    named = re.findall(r"--from=(\S+)", (ROOT / "Dockerfile").read_text())
    assert named
    assert set(named) <= set(STAGES)


@pytest.mark.parametrize("stage", ["api", "worker"])
def test_images_run_as_an_ordinary_user_and_report_health(stage: str) -> None:
    own = [name for name, _ in STAGES[stage]]
    assert values(stage, "USER") == ["verdicts"]
    assert not {"RUN", "COPY", "ADD"} & set(own[own.index("USER") :])
    assert "HEALTHCHECK" in own
    made = " ".join(values(stage, "RUN"))
    assert "useradd" in made
    folder = next(v for v in values(stage, "ENV") if "VERDICTS_DATA_DIR" in v)
    assert re.search(r"VERDICTS_DATA_DIR=(\S+)", folder)[1] in made  # type: ignore[index]  # a failing match fails too


def test_the_api_image_has_no_torch_and_the_worker_image_has() -> None:
    api = [v for v in values("build-api", "RUN") if "uv pip install" in v]
    worker = [v for v in values("build-worker", "RUN") if "uv pip install" in v]
    assert [shlex.split(v)[-1] for v in api] == [".[service]"]
    assert [shlex.split(v)[-1] for v in worker] == [".[worker]"]
    assert ("ARG", "TORCH=cpu") in STAGES["build-worker"]
    # What is installed is compiled there: the user of the images may not write beside it.
    assert any(value.startswith("UV_COMPILE_BYTECODE") for name, value in STAGES["build"] if name == "ENV")
    assert any(value.startswith("UV_TORCH_BACKEND") for name, value in STAGES["build-worker"] if name == "ENV")


def test_one_port_everywhere() -> None:
    argv = json.loads(values("api", "CMD")[-1])
    port = argv[argv.index("--port") + 1]
    assert values("api", "EXPOSE") == [port]
    assert [p.rsplit(":", 1)[1] for p in SERVICES["api"]["ports"]] == [port]
    health = values("api", "HEALTHCHECK")[-1]
    assert f"127.0.0.1:{port}/readyz" in health
    assert argv[argv.index("--host") + 1] == "0.0.0.0"  # noqa: S104  # inside a container


def test_compose_refers_to_itself_correctly() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"], name
        if "build" in service:
            assert service["build"]["target"] in STAGES, name
            arguments = service["build"].get("args", {})
            known = {value.split("=")[0] for instruction, value in lineage("build-worker") if instruction == "ARG"}
            assert set(arguments) <= known, name


def test_compose_urls_name_its_own_servers() -> None:
    postgres = SERVICES["postgres"]["environment"]
    for name in ("migrate", "api", "worker", "worker-gpu"):
        environment = SERVICES[name]["environment"]
        url = environment["VERDICTS_DATABASE_URL"]
        assert url.startswith(f"postgresql+psycopg://{postgres['POSTGRES_USER']}:")
        assert url.endswith(f"@postgres:5432/{postgres['POSTGRES_DB']}")
        assert environment["VERDICTS_REDIS_URL"].startswith("redis://redis:6379/")


def test_compose_migrates_once_before_the_rest_and_keeps_redis_on_disk() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    for name in ("api", "worker", "worker-gpu"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    redis = SERVICES["redis"]["command"]
    assert redis[redis.index("--appendonly") + 1] == "yes"
    assert redis[redis.index("--maxmemory-policy") + 1] == "noeviction"


def test_only_the_gpu_worker_reserves_gpus_and_only_in_its_profile() -> None:
    reserved = [name for name, service in SERVICES.items() if "deploy" in service]
    assert reserved == ["worker-gpu"]
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]
    assert SERVICES["worker-gpu"]["build"]["args"]["TORCH"].startswith("cu")


def test_servers_have_health_checks() -> None:
    for name in ("postgres", "redis"):
        assert "test" in SERVICES[name]["healthcheck"]
