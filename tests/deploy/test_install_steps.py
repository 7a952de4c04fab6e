"""The install steps of the images, run in clean virtual environments, and what they installed, put to work."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.client.conftest import script
from tests.client.scripted import Answer, Script
from tests.deploy.test_images import ROOT, lineage, values
from tests.factories.ports import free_port

__all__ = ["script"]

UV = Path(sys.executable).parent / "uv"


def install(stage: str, folder: Path, replaced: tuple[str, str] = ("", "")) -> Path:
    """Copy what the stage copies, run what it installs; returns the environment's folder of programs.

    Of the words of its step, one may be replaced.
    """
    source = folder / "src"
    source.mkdir()
    for instruction, value in lineage(stage):
        if instruction == "COPY":
            *names, _ = value.split()
            for name in names:
                put = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                put(ROOT / name, source / name)
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    steps = [value for value in values(stage, "RUN") if value.startswith("uv pip install")]
    assert len(steps) == 1
    for step in steps:
        # The cache is kept: the step would else download gigabytes at each run of the tests.
        argv = [word.replace("/opt/venv", str(venv)) for word in shlex.split(step) if word != "--no-cache"]
        argv = [replaced[1] if word == replaced[0] else word for word in argv]
        subprocess.run([str(UV), *argv[1:]], cwd=source, check=True, env=environment())
    return venv / "bin"


def environment(**more: str) -> dict[str, str]:
    """Nothing of this checkout: neither its folder nor its environment."""
    dropped = {"PYTHONPATH", "VIRTUAL_ENV"}
    kept = {k: v for k, v in os.environ.items() if k not in dropped and not k.startswith("VERDICTS_")}
    if "UV_FIND_LINKS" not in kept:
        links = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", "global.find-links"],
            capture_output=True,
            text=True,
            check=False,
        )
        kept |= {"UV_FIND_LINKS": links.stdout.strip()} if links.stdout.strip() else {}
    return kept | more


@pytest.mark.timeout(1800)
def test_the_api_image_serves(tmp_path: Path, empty_database_url: str, redis_url: str) -> None:
    bin_ = install("build-api", tmp_path)
    env = environment(VERDICTS_DATABASE_URL=empty_database_url, VERDICTS_REDIS_URL=redis_url)
    missing = subprocess.run([bin_ / "python", "-c", "import torch"], capture_output=True, check=False, cwd=tmp_path)
    assert b"No module named 'torch'" in missing.stderr
    done = subprocess.run(
        [bin_ / "verdicts", "migrate", "--catalogue"], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "drivers in the catalogue" in done.stdout
    port = free_port()
    api = subprocess.Popen([bin_ / "verdicts", "api", "--port", str(port)], env=env, cwd=tmp_path)
    try:
        assert wait_until_ready(port) == {"database": "ok", "migrations": "ok", "redis": "ok"}
        assert httpx.get(f"http://127.0.0.1:{port}/v1/papers/2111.09543").status_code == 200
    finally:
        api.terminate()
        assert (
            api.wait(timeout=120) == -signal.SIGTERM
        )  # uvicorn shuts down in order, then lets the signal have its say


@pytest.mark.timeout(600)
def test_without_extras_it_is_the_client_and_its_commands(tmp_path: Path, script: Script) -> None:
    bin_ = install("build-api", tmp_path, (".[service]", "."))
    absent = "import fastapi, sqlalchemy, celery, numpy, psycopg"
    missing = subprocess.run([bin_ / "python", "-c", absent], capture_output=True, check=False, cwd=tmp_path)
    assert b"No module named 'fastapi'" in missing.stderr
    script.on("/v1/papers", Answer(body={"items": [], "next_cursor": None}))

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        argv = (str(bin_ / argv[0]), *argv[1:])
        return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment())

    listed = run("verdicts", "papers", "--server", script.url, "--json")
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, '{"items": [], "next_cursor": null}\n', "")
    code = f"from app.client import Client\nprint(list(Client({script.url!r}).papers()))"
    assert run("python", "-c", code).stdout == "[]\n"
    for arguments in (("papers",), ("up",)):
        refused = run("verdicts", *arguments)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (5, "", 1)
        assert "pip install 'paper-verdicts[service]'" in refused.stderr


def wait_until_ready(port: int) -> object:
    """What /readyz says of each part, once all is well: on a busy machine a server may not answer at first."""
    deadline, said = time.monotonic() + 90, "nothing"
    while True:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=30)
            said = answer.text
            if answer.is_success:
                return answer.json()["checks"]
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, said
        time.sleep(0.1)


@pytest.mark.worker
@pytest.mark.timeout(1800)
def test_the_worker_image_imports_its_worker_and_finds_its_catalogue(tmp_path: Path) -> None:
    bin_ = install("build-worker", tmp_path)
    code = (
        "import torch, workers.celery_app as c; from app.core.settings import Settings; "
        "print(len(list(Settings().catalogue_dir.glob('drivers/*.toml'))), "
        "(Settings().catalogue_dir / 'checkpoints/minilm-l6-nli-adapter/adapter_model.safetensors').exists(), "
        "Settings().catalogue_dir.is_relative_to('" + str(ROOT) + "'))"
    )
    done = subprocess.run(
        [bin_ / "python", "-c", code],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    shipped = len(list((ROOT / "workers/catalogue/drivers").glob("*.toml")))
    assert done.stdout.split() == [str(shipped), "True", "False"]
