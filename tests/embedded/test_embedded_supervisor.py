"""The supervisor: what dies comes back, what is told to stop is gone, and a signal at any moment is orderly."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from app.embedded import Service, ServiceFailedError, StopRequested, Supervisor, logs
from app.embedded.child import Backoff
from tests.embedded.up_harness import (
    as_ordinary_user,
    finish,
    is_running,
    nothing_left,
    processes_of,
    small_up,
    wait_ready,
    wait_until,
)

_PYTHON = (sys.executable, "-I", "-S", "-c")
_QUICK = Backoff(first=0.1, most=0.2)


def _shell(script: str, *arguments: str) -> list[str]:
    return ["/bin/sh", "-c", script, "sh", *arguments]


def _numbers(path: Path) -> list[float]:
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def _stubborn(pids: Path) -> Sequence[str]:
    """Ignores SIGTERM, has a child that does so too, and writes down both their numbers."""
    return _shell('trap "" TERM; sleep 1000 & echo $$ $! > "$1"; while :; do sleep 1000; done', str(pids))


def test_a_dying_service_is_started_again_ever_more_slowly(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    script = "import sys, time; open(sys.argv[1], 'a').write(f'{time.monotonic()}\\n')"
    service = Service("dying", [*_PYTHON, script, str(starts)])
    with Supervisor([service], tmp_path, backoff=Backoff(first=0.1, most=0.4)):
        assert wait_until(lambda: len(_numbers(starts)) >= 6, 60)
    times = _numbers(starts)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for gap, least in zip(gaps, (0.1, 0.2, 0.4, 0.4, 0.4), strict=False):
        assert gap >= least
    assert len(_numbers(starts)) == len(times)


def test_the_pause_is_bounded() -> None:
    backoff = Backoff(first=0.25, most=30.0)
    assert [backoff.delay(deaths) for deaths in (1, 2, 3, 8, 9, 5000)] == [0.25, 0.5, 1.0, 30.0, 30.0, 30.0]


def test_a_settled_service_comes_back_at_once(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    service = Service("shell", _shell('echo $$ >> "$1"; exec sleep 1000', str(pids)))
    with Supervisor([service], tmp_path, backoff=Backoff(first=0.1, most=1000, settled=0.0)):
        for number in range(1, 12):
            assert wait_until(lambda number=number: len(_numbers(pids)) == number, 60)  # type: ignore[misc]
            os.kill(int(_numbers(pids)[-1]), signal.SIGKILL)
        assert wait_until(lambda: len(_numbers(pids)) == 12, 60)  # unsettled, it would have waited for 102 s by now
        last = int(_numbers(pids)[-1])
        assert is_running(last)
        assert os.getsid(last) != os.getsid(0)
    assert not is_running(last)


def test_readiness_is_waited_for(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    service = Service("slow", _shell('sleep 0.3; touch "$1"; exec sleep 1000', str(mark)), ready=mark.exists)
    with Supervisor([service], tmp_path) as supervisor:
        assert not mark.exists()
        supervisor.wait_ready()
        assert mark.exists()


def test_a_service_that_cannot_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    service = Service("broken", _shell("echo the port is taken >&2; exit 3"), ready=lambda: False)
    with (
        Supervisor([service], tmp_path, backoff=_QUICK) as supervisor,
        pytest.raises(ServiceFailedError, match=r"(?s)broken ended with exit code 3.*broken\.log.*the port is taken"),
    ):
        supervisor.wait_ready()


@pytest.mark.parametrize("guarded", [False, True])
def test_a_missing_program_is_reported(tmp_path: Path, *, guarded: bool) -> None:
    service = Service("missing", ["/no/such/program"], ready=lambda: False, guarded=guarded)
    with (
        Supervisor([service], tmp_path, backoff=_QUICK) as supervisor,
        pytest.raises(ServiceFailedError, match="cannot start /no/such/program"),
    ):
        supervisor.wait_ready()


def test_a_service_that_is_never_ready_is_reported(tmp_path: Path) -> None:
    with (
        Supervisor([Service("idle", ["/bin/sleep", "1000"], ready=lambda: False)], tmp_path) as supervisor,
        pytest.raises(ServiceFailedError, match="idle was not ready after 0 s"),
    ):
        supervisor.wait_ready(timeout=0.2)


def test_the_stubborn_are_killed_with_their_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    service = Service("stubborn", _stubborn(pids), ready=lambda: len(_numbers(pids)) == 2, grace=0.3)
    with Supervisor([service], tmp_path) as supervisor:
        supervisor.wait_ready()
        parent, child = map(int, _numbers(pids))
        assert is_running(parent)
        assert is_running(child)
        started = time.monotonic()
    assert 0.3 <= time.monotonic() - started < 20
    assert not is_running(parent)
    assert wait_until(lambda: not is_running(child), 60)


def test_services_get_the_environment_and_the_signal_they_ask_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = 'trap "echo interrupted >> \\"$1\\"; exit" INT; echo "$COLOUR" > "$1"; while :; do sleep 0.05; done'
    service = Service("shell", _shell(script, str(out)), env={"COLOUR": "blue"}, ready=out.exists)
    service = Service(**{**vars(service), "stop_signal": signal.SIGINT})
    with Supervisor([service], tmp_path) as supervisor:
        supervisor.wait_ready()
    assert out.read_text().split() == ["blue", "interrupted"]


def test_logs_are_rotated_at_each_start(tmp_path: Path) -> None:
    for number in range(5):
        log = tmp_path / "logs" / "talker.log"
        service = Service("talker", _shell(f"echo start {number}; exec sleep 1000"))
        with Supervisor([service], tmp_path):
            assert wait_until(lambda: log.exists() and log.stat().st_size > 0, 60)  # noqa: B023 used within the loop
    kept = sorted(path.name for path in log.parent.iterdir())
    assert kept == ["talker.log", "talker.log.1", "talker.log.2", "talker.log.3"]
    assert log.read_text() == "start 4\n"
    assert log.with_name("talker.log.3").read_text() == "start 1\n"


def test_a_log_is_bounded_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "loud.log"
    with logs.open_log(path) as log:
        log.write(b"x" * 1000)
        logs.bound(path, limit=1000)
        assert path.stat().st_size == 1000
        log.write(b"y")
        logs.bound(path, limit=1000)
        log.write(b"after")
    assert path.read_bytes() == b"after"
    assert path.with_name("loud.log.1").stat().st_size == 1001


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_of_the_signals_stops_in_order(data_dir: Path, signum: int) -> None:
    script = 'trap "echo asked; exit" TERM; echo up "$1"; while :; do sleep 0.05; done'
    with small_up(data_dir, servers=False, services={"polite": _shell(script, str(data_dir))}) as up:
        wait_ready(up)
        log = data_dir / "logs" / "polite.log"
        assert wait_until(lambda: "up" in log.read_text(), 60)
        assert f"stopped by {signum.value}" in finish(up, signum)  # type: ignore[attr-defined]
        assert up.returncode == 0
    assert log.read_text().splitlines()[1:] == ["asked"]
    assert nothing_left(data_dir)


def test_a_second_control_c_cuts_the_grace(data_dir: Path) -> None:
    pids = data_dir / "pids"
    with small_up(data_dir, servers=False, services={"stubborn": _stubborn(pids)}, grace=60) as up:
        wait_ready(up)
        assert wait_until(lambda: len(_numbers(pids)) == 2, 60)
        up.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            up.wait(0.3)
        up.send_signal(signal.SIGINT)
        up.send_signal(signal.SIGINT)
        assert "stopped by 2" in finish(up, signal.SIGINT, seconds=50)
    assert nothing_left(data_dir, 60)


def test_services_and_their_children_do_not_outlive_a_killed_supervisor(data_dir: Path) -> None:
    pids = data_dir / "pids"
    services = {"parent": _shell('sleep 1000 & echo $$ $! > "$1"; wait', str(pids))}
    with small_up(data_dir, servers=False, services=services) as up:
        wait_ready(up)
        assert wait_until(lambda: len(_numbers(pids)) == 2, 60)
        up.kill()
        assert nothing_left(data_dir, 60)
        assert wait_until(lambda: not any(is_running(int(pid)) for pid in _numbers(pids)), 60)


def test_a_fork_of_the_supervisor_does_not_keep_services_alive(data_dir: Path) -> None:
    with small_up(data_dir, servers=False, services={"sleeper": _shell("sleep 1000", str(data_dir))}, fork=True) as up:
        wait_ready(up)
        fork = next(pid for pid, command in processes_of(data_dir).items() if "small_up" in command and pid != up.pid)
        up.kill()
        assert wait_until(lambda: processes_of(data_dir).keys() == {fork}, 60)
        os.kill(fork, signal.SIGKILL)


def test_where_the_kernel_binds_nothing_the_servers_go_too(data_dir: Path) -> None:
    with small_up(data_dir, only_guards=True, prefix=as_ordinary_user(data_dir)) as up:
        wait_ready(up)
        assert sum("guard.py" in command for command in processes_of(data_dir).values()) == 2
        up.kill()
        assert nothing_left(data_dir, 60)


@pytest.mark.parametrize("guarded", [False, True])
def test_a_service_gets_the_signal_and_ends_as_it_ends(tmp_path: Path, *, guarded: bool) -> None:
    service = Service("killed", _shell("kill -KILL $$"), ready=lambda: False, guarded=guarded)
    with (
        Supervisor([service], tmp_path, backoff=_QUICK) as supervisor,
        pytest.raises(ServiceFailedError, match="signal 9"),
    ):
        supervisor.wait_ready()
    out = tmp_path / "out"
    script = 'trap "echo asked > \\"$1\\"; exit" TERM; touch "$1"; while :; do sleep 0.05; done'
    service = Service("polite", _shell(script, str(out)), ready=out.exists, guarded=guarded)
    with Supervisor([service], tmp_path) as supervisor:
        supervisor.wait_ready()
    assert out.read_text() == "asked\n"


def test_a_signal_that_the_foreground_swallowed_still_ends_the_wait(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Supervisor([Service("idle", ["/bin/sleep", "1000"])], tmp_path) as supervisor:
        with suppress(KeyboardInterrupt):  # as uvicorn.run does
            signal.raise_signal(signal.SIGTERM)
        assert supervisor.wait() == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stop_from_another_thread_ends_the_wait(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Supervisor([Service("idle", ["/bin/sleep", "1000"])], tmp_path) as supervisor:
        threading.Timer(0.2, supervisor.stop).start()
        assert supervisor.wait() is None
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_in_the_foreground_raises_there(tmp_path: Path) -> None:
    with Supervisor([], tmp_path), pytest.raises(StopRequested) as caught:
        signal.raise_signal(signal.SIGHUP)
    assert caught.value.signum == signal.SIGHUP


def test_an_ignored_signal_stays_ignored(data_dir: Path) -> None:
    prefix = _shell('trap "" HUP; exec "$@"')
    with small_up(data_dir, servers=False, prefix=prefix) as up:
        wait_ready(up)
        up.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            up.wait(0.5)
        assert "stopped by 15" in finish(up, signal.SIGTERM)
