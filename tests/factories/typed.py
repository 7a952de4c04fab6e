"""Commands of the documentation as a reader types them: their very words, but for addresses that are examples."""

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PATIENCE_S: Final = 120.0
"""A bound, not an expectation: how long a stop may take on a busy machine."""


def with_real(code: str, real: Mapping[str, str]) -> str:
    """The commands with each address that is an example, or a folder of the reader's, replaced by a real one."""
    for example, address in real.items():
        assert example in code, f"{example} is not in\n{code}"
        code = code.replace(example, shlex.quote(address))
    return code


@contextmanager
def typed(code: str, folder: Path, environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """Commands that stay, in a shell, while the block lasts; then Ctrl-C, as a terminal sends it to all there is."""
    with log.open("w") as out:
        shell = subprocess.Popen(
            ["bash", "-c", f"set -e\n{code}"],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield
        assert shell.poll() is None, log.read_text()
    finally:
        ended = _interrupted(shell)
    assert ended >= 0, log.read_text()  # Celery's is 1


def _interrupted(shell: subprocess.Popen[bytes]) -> int:
    try:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGINT)
        return shell.wait(PATIENCE_S)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
