"""Which worker processes a machine gets: one a GPU, or one for the CPU."""

import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from app.cli.failures import UNREACHABLE, CommandError
from app.core.queue import QUEUE
from app.embedded import Service

_COUNT: Final = "import torch; print(torch.cuda.device_count())"
_DRIVERS: Final = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd"))
"""What the drivers of NVIDIA, of Windows below Linux, and of AMD make: without one of them nothing is to be counted."""


def worker_services(device: str, environment: Mapping[str, str]) -> list[Service]:
    """The worker processes for the device: `auto` means every GPU there is, else the CPU.

    Raises CommandError where the worker's libraries are not installed.
    """
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise CommandError("the worker is not installed here: pip install 'paper-verdicts[worker]'", UNREACHABLE)
    return [_service(one, environment) for one in _devices(device)]


def _devices(device: str) -> list[str]:
    if device != "auto":
        return [device]
    if not any(path.exists() for path in _DRIVERS):
        return ["cpu"]
    # A process of its own counts the GPUs: whatever touched CUDA here could not be forked or waited on cleanly.
    counted = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    found = int(counted.stdout) if counted.stdout.strip().isdigit() else 0
    return [f"cuda:{number}" for number in range(found)] or ["cpu"]


def _service(device: str, environment: Mapping[str, str]) -> Service:
    name = f"worker-{device.replace(':', '-')}"
    argv = [sys.executable, "-m", "celery", "-A", "workers.celery_app", "worker", "--pool", "solo"]
    argv += ["--queues", QUEUE, "--hostname", f"{name}@%h", "--loglevel", "INFO", "--without-gossip"]
    argv += ["--without-mingle", "--without-heartbeat"]
    return Service(name, argv, env={**environment, "VERDICTS_DEVICE": device})
