"""What users would serve such documents with instead, where it is to be had."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

Command: TypeAlias = Callable[[int], list[str]]
"""The command that serves on a port."""
PLACE: Final = Path(__file__).parents[1] / ".peers"
"""Peers from PyPI have an environment of their own, made with the first run: their requirements are not ours."""


def nginx(folder: Path, body: bytes) -> Command | None:
    """Nginx with the body as a file, one worker; None where it is not installed."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        return None
    (folder / "www").mkdir()
    (folder / "www" / "document.json").write_bytes(body)
    configuration = folder / "nginx.conf"
    text = f"""
        {"user root;" if os.geteuid() == 0 else ""}
        worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; types {{ application/json json; }} keepalive_requests 100000000; open_file_cache max=10;
            client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
            uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            server {{ listen 127.0.0.1:PORT; root {folder}/www; }}
        }}
        """

    def command(port: int) -> list[str]:
        configuration.write_text(text.replace("PORT", str(port)))
        return [program, "-c", str(configuration), "-p", str(folder)]

    return command


def datasette(folder: Path, body: bytes) -> Command | None:
    """Datasette with a table of documents; None where it is neither here nor to be had."""
    program = os.environ.get("BENCH_DATASETTE") or shutil.which("datasette") or _from_pypi("datasette")
    if program is None:
        return None
    path = folder / "papers.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE papers (id TEXT PRIMARY KEY, document TEXT)")
        connection.execute("INSERT INTO papers VALUES ('p', ?)", [body.decode()])
    return lambda port: [program, "serve", str(path), "--port", str(port), "--setting", "suggest_facets", "off"]


def _from_pypi(name: str) -> str | None:
    """The program of this name, installed from the package of this name."""
    place = PLACE / name
    program = place / "bin" / name
    if not program.exists():
        steps = (
            [sys.executable, "-m", "venv", str(place)],
            [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", name],
        )
        if any(subprocess.run(step, check=False, capture_output=True, timeout=300).returncode for step in steps):
            return None
    return str(program) if program.exists() else None
