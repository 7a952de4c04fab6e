"""The embedded servers: what they keep, whom they serve, and that they leave nothing behind."""

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from app.embedded import (
    DataFolderInUseError,
    EmbeddedError,
    EmbeddedServers,
    ServerUrls,
    ServiceFailedError,
    identity,
    running_urls,
)
from tests.embedded.up_harness import (
    as_ordinary_user,
    finish,
    kill_all,
    nothing_left,
    processes_of,
    small_up,
    wait_ready,
    wait_until,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes into other users")
_ROWS = 100


def _fill(dsn: str, redis_url: str) -> None:
    """Each row in a transaction of its own, each item in a command of its own."""
    with psycopg.connect(dsn, autocommit=True) as connection, Redis.from_url(redis_url) as client:
        connection.execute("CREATE TABLE kept (number int)")
        for number in range(_ROWS):
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
            client.rpush("queue", number)


def _kept(dsn: str, redis_url: str) -> tuple[int, int]:
    with psycopg.connect(dsn) as connection, Redis.from_url(redis_url) as client:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
        assert row
        return row[0], client.llen("queue")


def _answer(urls: ServerUrls) -> bool:
    with psycopg.connect(urls.dsn) as connection, Redis.from_url(urls.redis_url) as client:
        return connection.execute("SELECT 1").fetchone() == (1,) and client.ping()


def test_a_stop_keeps_everything_and_leaves_no_process(data_dir: Path) -> None:
    with EmbeddedServers(data_dir) as urls:
        _fill(urls.dsn, urls.redis_url)
        assert running_urls(data_dir) == urls
    assert nothing_left(data_dir)
    assert running_urls(data_dir) is None
    with EmbeddedServers(data_dir) as urls:
        assert _kept(urls.dsn, urls.redis_url) == (_ROWS, _ROWS)


def test_passwords_are_for_their_owner_only(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, durable=False) as urls:
        secrets = [*(data_dir / "secrets").iterdir(), data_dir / "valkey.conf", data_dir / "servers.json"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
        arguments = " ".join(processes_of(data_dir).values())
        for path in (data_dir / "secrets").iterdir():
            assert path.read_text() not in arguments
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(urls.dsn.replace("verdicts:", "verdicts:not-", 1))


def test_kill_nine_of_everything_loses_nothing(data_dir: Path, alien: int) -> None:
    with small_up(data_dir) as up:
        _fill(*wait_ready(up))
        kill_all(data_dir)
        assert nothing_left(data_dir, 60)
    # As after a reboot: the number in the lock file is some other program's now.
    lock_file = data_dir / "postgres" / "postmaster.pid"
    lock_file.write_text("\n".join([str(alien), *lock_file.read_text().split("\n")[1:]]))
    with EmbeddedServers(data_dir) as urls:
        assert _kept(urls.dsn, urls.redis_url) == (_ROWS, _ROWS)
    assert "was not properly shut down" in (data_dir / "logs" / "postgres.log").read_text()


@pytest.fixture
def alien() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def test_a_killed_supervisor_takes_its_children_along(data_dir: Path) -> None:
    with small_up(data_dir) as up:
        _fill(*wait_ready(up))
        up.kill()
        # At once: the old servers are still shutting down, and must not share the folder with the new ones.
        with small_up(data_dir) as second:
            assert _kept(*wait_ready(second)) == (_ROWS, _ROWS)
            second.kill()
            assert nothing_left(data_dir, 60)


@pytest.mark.parametrize("moment", ["lock", "postgres.new/PG_VERSION", "postgres/PG_VERSION"])
def test_control_c_during_the_start_leaves_nothing(data_dir: Path, moment: str) -> None:
    with small_up(data_dir) as up:
        assert wait_until((data_dir / moment).exists, 60)
        said = finish(up, signal.SIGINT)
        assert "stopped by 2" in said
        assert up.returncode == 0
        assert nothing_left(data_dir)
    assert not (data_dir / "postgres.new").exists()
    with EmbeddedServers(data_dir, durable=False) as urls:
        assert _answer(urls)


def test_a_second_one_on_the_folder_is_refused(data_dir: Path) -> None:
    with small_up(data_dir) as up:
        wait_ready(up)
        with pytest.raises(DataFolderInUseError, match=rf"in use by process {up.pid}\b"):
            EmbeddedServers(data_dir).start()
        urls = running_urls(data_dir)
        assert urls
        assert _answer(urls)
        assert "stopped by 15" in finish(up, signal.SIGTERM)
        assert up.returncode == 0
        assert nothing_left(data_dir)


def test_a_long_and_odd_path(data_dir: Path) -> None:
    folder = data_dir / ("long" * 20) / 'with "quotes", a \\ and spaces' / ("é" * 40)
    with EmbeddedServers(folder, durable=False) as urls:
        assert _answer(urls)
        sockets = (folder / "run").resolve()
        assert len(bytes(sockets)) < 80
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert not sockets.exists()
    assert nothing_left(folder)


def test_given_servers_are_not_started(data_dir: Path) -> None:
    theirs = "postgresql+psycopg://somewhere/else"
    with EmbeddedServers(data_dir, durable=False, database_url=theirs) as urls:
        assert urls.database_url == theirs
        with Redis.from_url(urls.redis_url) as client:
            assert client.ping()
        assert not (data_dir / "postgres").exists()


def test_an_ordinary_user_is_served(data_dir: Path) -> None:
    with small_up(data_dir, prefix=as_ordinary_user(data_dir)) as up:
        _fill(*wait_ready(up))
        assert {_owner(pid) for pid in processes_of(data_dir)} == {data_dir.stat().st_uid} != {0}
        up.kill()
        assert nothing_left(data_dir, 60)


@as_root
def test_root_where_user_namespaces_are_forbidden(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(identity, "_runs", lambda *_: False)
        with EmbeddedServers(data_dir) as urls:
            _fill(urls.dsn, urls.redis_url)
            assert _owner(_server("postgres", data_dir)) == 65534
    with EmbeddedServers(data_dir) as urls:
        assert _kept(urls.dsn, urls.redis_url) == (_ROWS, _ROWS)


def test_no_server_of_the_system_is_needed(data_dir: Path) -> None:
    with small_up(data_dir, env={"PATH": ""}) as up:
        wait_ready(up)
        commands = [command for command in processes_of(data_dir).values() if " -D " in command or ".conf" in command]
        assert len(commands) == 2
        assert all("site-packages" in command for command in commands)
        assert "stopped by 1" in finish(up, signal.SIGHUP)


def _server(name: str, data_dir: Path) -> int:
    return next(pid for pid, command in processes_of(data_dir).items() if f"/{name} " in command)


def _owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def test_a_server_that_dies_comes_back_under_the_same_url(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, durable=False) as urls:
        for name in ("postgres", "valkey-server"):
            os.kill(_server(name, data_dir), signal.SIGKILL)
        assert not _answers(urls)
        assert wait_until(lambda: _answers(urls), 60)


def _answers(urls: ServerUrls) -> bool:
    try:
        return _answer(urls)
    except Exception:  # noqa: BLE001 whatever a client raises while its server is away
        return False


def test_a_folder_of_another_postgres_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="was made by Postgres 9"):
        EmbeddedServers(data_dir).start()
    assert nothing_left(data_dir)


def test_an_empty_lock_file_of_a_power_cut_is_no_obstacle(data_dir: Path) -> None:
    for _ in range(2):
        with EmbeddedServers(data_dir, durable=False, redis_url="redis://elsewhere") as urls, psycopg.connect(urls.dsn):
            pass
        (data_dir / "postgres" / "postmaster.pid").touch()


def test_a_lost_password_is_named(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, durable=False, redis_url="redis://elsewhere") as urls:
        assert urls.redis_url == "redis://elsewhere"
        assert not any("valkey.conf" in command for command in processes_of(data_dir).values())
    (data_dir / "secrets" / "postgres").unlink()
    with pytest.raises(EmbeddedError, match="another password"):
        EmbeddedServers(data_dir, durable=False, redis_url="redis://elsewhere").start()
    assert nothing_left(data_dir)


def test_a_server_that_cannot_start_shows_its_log(data_dir: Path) -> None:
    (data_dir / "valkey").mkdir()
    (data_dir / "valkey" / "appendonlydir").write_text("not a folder")
    with pytest.raises(ServiceFailedError, match=r"(?s)valkey ended with exit code 1.*appendonly"):
        EmbeddedServers(data_dir, database_url="postgresql+psycopg://elsewhere").start()
    assert nothing_left(data_dir)
