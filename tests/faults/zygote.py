"""(A script) Forks real worker and API processes from one that has imported their libraries once.

Starting Python and importing takes seconds of CPU, which a suite that kills a process each second does not have. What a
child runs is the product's own entry points, in a process, session and environment of its own; `workers.celery_app`,
which reads the settings, is imported by the child. Orders come as JSON lines; the answer is the child's pid.
"""

import ctypes
import json
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork as ordered until the input ends; the kernel ends the children with this process."""
    import celery.bin.celery  # noqa: PLC0415
    import celery.concurrency.solo  # noqa: PLC0415
    import celery.worker.consumer  # noqa: F401, PLC0415
    import pandas  # noqa: F401, ICN001, PLC0415  # by pyarrow, at its first cast
    import peft  # noqa: F401, PLC0415  # it and what follows come in where they are first needed, in each child anew
    import pyarrow.compute  # noqa: F401, PLC0415
    import scipy.fft  # noqa: PLC0415
    import scipy.optimize  # noqa: PLC0415
    import scipy.stats  # noqa: F401, PLC0415
    import transformers.models.bert.modeling_bert  # noqa: F401, PLC0415

    import app.cli.serving  # noqa: PLC0415
    import app.main  # noqa: F401, PLC0415
    import workers.evaluation.model_source  # noqa: PLC0415
    import workers.runtime.loading  # noqa: PLC0415
    import workers.tasks.reproduce  # noqa: F401, PLC0415

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    _say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        if (pid := os.fork()) == 0:
            _become(order)
        _say(str(pid))


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _become(order: dict[str, Any]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(number, target)
    os.environ.update(order["env"])
    sys.argv = order["argv"]
    status = 1
    try:
        if order["argv"][0] == "celery":
            from celery.bin.celery import main as run  # noqa: PLC0415

            run()
        else:
            from app.cli.commands import app  # noqa: PLC0415

            app()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001  # nothing may get past the fork
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
