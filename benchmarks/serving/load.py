"""Load from a process of its own: wrk where it is installed, else a small client on httptools, which uvicorn brings."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

CONNECTIONS = 32
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1000.0, "m": 60000.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of the load came to; times in milliseconds."""

    requests: int
    rate: float
    p50: float
    p99: float
    failed: int


def load(port: int, paths: Sequence[str], headers: dict[str, str], seconds: float, folder: Path) -> Load:
    """Ask for the paths in turn over 32 connections for so many seconds."""
    if shutil.which("wrk"):
        return _wrk(port, paths, headers, seconds, folder)
    order = json.dumps({"port": port, "paths": list(paths), "headers": headers, "seconds": seconds})
    done = subprocess.run([sys.executable, __file__, order], check=True, capture_output=True, text=True)
    return Load(**json.loads(done.stdout))


def _wrk(port: int, paths: Sequence[str], headers: dict[str, str], seconds: float, folder: Path) -> Load:
    script = folder / "paths.lua"
    listed = ",".join(json.dumps(path) for path in paths)
    script.write_text(
        f"local paths = {{{listed}}}\nlocal at = 0\n"
        "request = function() at = at % #paths + 1; return wrk.format('GET', paths[at]) end\n"
    )
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency"]
    argv += [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    argv += ["-s", str(script)] if len(paths) > 1 else []
    done = subprocess.run([*argv, f"http://127.0.0.1:{port}{paths[0]}"], check=True, capture_output=True, text=True)
    out = done.stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return Load(
        requests=int(_found(r"(\d+) requests in", out)),
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", out)),
        p50=_ms(_found(r"(?m)^\s+50%\s+(\S+)", out)),
        p99=_ms(_found(r"(?m)^\s+99%\s+(\S+)", out)),
        failed=int(failed[1]) if failed else 0,
    )


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        message = f"wrk printed no {pattern}"
        raise RuntimeError(message)
    return match[1]


def _ms(text: str) -> float:
    value, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return float(value) * _UNITS[unit]


class _Answers:
    """What httptools calls while it parses one connection's answers."""

    def __init__(self) -> None:
        self.complete = False

    def on_message_complete(self) -> None:
        self.complete = True


async def _connection(port: int, requests: list[bytes], until: float, times: list[float], failed: list[int]) -> None:
    import httptools  # noqa: PLC0415  # the fallback's alone

    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    at = 0
    while time.perf_counter() < until:
        answers = _Answers()
        parser = httptools.HttpResponseParser(answers)
        began = time.perf_counter()
        writer.write(requests[at % len(requests)])
        at += 1
        while not answers.complete:
            parser.feed_data(await reader.read(65536))
        times.append((time.perf_counter() - began) * 1000)
        failed[0] += parser.get_status_code() >= 400  # noqa: PLR2004  # RFC 9110
    writer.close()


def _client(port: int, paths: list[str], headers: dict[str, str], seconds: float) -> Load:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    requests = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode() for path in paths]
    times: list[float] = []
    failed = [0]
    began = time.perf_counter()

    async def run() -> None:
        jobs = (_connection(port, requests, began + seconds, times, failed) for _ in range(CONNECTIONS))
        await asyncio.gather(*jobs)

    asyncio.run(run())
    cuts = quantiles(times, n=100)
    return Load(len(times), len(times) / (time.perf_counter() - began), cuts[49], cuts[98], failed[0])


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    done = _client(given["port"], given["paths"], given["headers"], given["seconds"])
    json.dump({name: getattr(done, name) for name in Load.__slots__}, sys.stdout)
