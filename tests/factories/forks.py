"""`verdicts` commands in processes of their own, without the seconds that starting Python takes each time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

_ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Forked:
    """One process; as far as the tests need it, like subprocess.Popen."""

    pid: int

    def poll(self) -> int | None:
        """None while it lives. How it ended is not told."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1][0]
        except OSError:
            return 0
        return 0 if state in "ZX" else None

    def wait(self, timeout: float) -> None:
        """Return once it has ended; raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(self.pid)
            time.sleep(0.01)

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Forks:
    """Starts them; they end with it."""

    def __enter__(self) -> Self:
        # One thread for the mathematics: forks are only safe before a pool of threads is there.
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        # And no width: what the console finds when it is imported would stay every child's.
        ours = ("VERDICTS_", "OTEL_", "COLUMNS")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self._folder = TemporaryDirectory(prefix="verdicts-forks-")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            env={**kept, **one, "PYTHONPATH": str(_ROOT)},
            text=True,
            start_new_session=True,
        )
        assert self._answer() == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def run(
        self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `verdicts ARGUMENTS` to its end; `text` is what it finds on its standard input."""
        with TemporaryDirectory(dir=self._folder.name) as made:
            stdin, stdout, stderr = (Path(made) / name for name in ("stdin", "stdout", "stderr"))
            stdin.write_text(text or "", encoding="utf-8")
            code = self._order(arguments, env, cwd, stdin=stdin, stdout=stdout, stderr=stderr, wait=True)
            return subprocess.CompletedProcess(arguments, code, stdout.read_text("utf-8"), stderr.read_text("utf-8"))

    def start(self, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> Forked:
        """Start `verdicts ARGUMENTS`; what it says goes to the log."""
        null = Path(os.devnull)
        return Forked(self._order(arguments, env, _ROOT, stdin=null, stdout=log, stderr=log, wait=False))

    def _order(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        *,
        stdin: Path,
        stdout: Path,
        stderr: Path,
        wait: bool,
    ) -> int:
        files = {"stdin": str(stdin), "stdout": str(stdout), "stderr": str(stderr)}
        order = {"argv": list(arguments), "env": dict(env), "cwd": str(cwd), "wait": wait, **files}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()
