"""docker-compose.yml as Compose reads it, as far as that goes without an engine, and as the guide has it started."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from compose_spec import PyOptions

from tests.deploy.test_images import ROOT
from tests.docs.blocks import block

GUIDE: Final = "docs/guides/run-on-your-gpus.md"
TEXT: Final = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SPOILED: Final = {
    "a key that there is none of": ("depends_on:", "depend_on:"),
    "a condition that there is none of": ("service_completed_successfully", "service_completed"),
    "a time in no unit": ("interval: 5s", "interval: 5 apples"),
    "a device without what it can do": ("capabilities: [gpu]", "capability: [gpu]"),
    "a port that is none": ('"127.0.0.1:8000:8000"', '"127.0.0.1:8000:80x"'),
}


def services(text: str) -> set[str]:
    """The services of a file, once all of it keeps the Compose Specification. Raises ValueError."""
    read = PyOptions(apply_merge=True).from_yaml(text)
    read.validate()
    return set(read.service_names())


def test_the_file_keeps_the_specification() -> None:
    assert services(TEXT) == {"postgres", "redis", "migrate", "api", "worker", "worker-gpu"}


@pytest.mark.parametrize("what", SPOILED)
def test_a_file_that_breaks_the_specification_is_found(what: str) -> None:
    sound, spoiled = SPOILED[what]
    assert sound in TEXT
    with pytest.raises(ValueError, match=r"\w"):
        services(TEXT.replace(sound, spoiled))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The file, and beside it what the guide has its reader write there first."""
    for name in ("docker-compose.yml", "Dockerfile"):
        shutil.copy(ROOT / name, tmp_path / name)
    code = block(GUIDE, 'echo "VERDICTS_DB_PASSWORD=').code
    subprocess.run(["bash", "-euo", "pipefail", "-c", code], cwd=tmp_path, check=True)
    return tmp_path


def test_the_guide_writes_down_every_variable_that_the_file_asks_for(folder: Path) -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", TEXT))
    written = dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())
    assert wanted
    assert wanted <= written.keys()
    assert all(re.fullmatch(r"[0-9a-f]{32,}", value) for value in written.values())  # goes into a URL as it is
    ignored = subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def composer() -> list[str] | None:
    """Compose itself, where it is installed."""
    for argv in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(argv[0]):
            asked = subprocess.run([*argv, "version"], capture_output=True, check=False)
            if asked.returncode == 0:
                return argv
    return None


@pytest.mark.skipif(composer() is None, reason="Docker Compose is not installed here")
def test_compose_itself_reads_what_the_guide_starts(folder: Path) -> None:
    typed = block(GUIDE, "docker compose").code.split()
    assert (typed[:2], typed[-1]) == (["docker", "compose"], "up")
    argv = [*(composer() or []), *typed[2:-1], "config", "--services"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, set(done.stdout.split())) == (0, services(TEXT)), done.stderr
