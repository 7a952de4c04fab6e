"""The last step before a child's program on Linux: be bound to the parent's life, leave root if asked, become it.

Run as a script by `process.spawn`, isolated and without site-packages, so it imports the standard library alone.
A fresh process does this, not a hook between fork and exec: such hooks may deadlock in a program with threads.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522
_NOBODY = 65534
_CANNOT_START = 126


def main() -> None:
    """Becomes the program that the JSON in the first argument describes; exits with 126 where it cannot."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _IDENTITIES[order["identity"]](libc)
        # Last: a change of namespace or user makes the kernel forget it.
        libc.prctl(_PR_SET_PDEATHSIG, order["death_signal"], 0, 0, 0)
        if os.getppid() != order["parent"]:
            sys.exit(_CANNOT_START)  # the parent died before the line above could bind us to it
        _default_signals()
        os.chdir(order["cwd"] or ".")
        os.execv(order["argv"][0], order["argv"])  # noqa: S606 becoming the program is the purpose
    except OSError as error:
        sys.stderr.write(f"cannot start {order['argv'][0]}: {error}\n")
        sys.exit(_CANNOT_START)


def _same(_: ctypes.CDLL) -> None:
    pass


def _namespace(libc: ctypes.CDLL) -> None:
    """Root under another number: Postgres, which refuses uid 0, sees 65534; files stay root's."""
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{_NOBODY} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{_NOBODY} {gid} 1", encoding="ascii")


def _nobody(libc: ctypes.CDLL) -> None:
    """The user nobody, able to reach a data folder or an environment below a closed one such as /root."""
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)
    mask = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # A container may lack the capability: then plain nobody must do, and a closed folder is reported by the program.
    if libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)) == 0:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _default_signals() -> None:
    # Python ignores SIGPIPE, a shell's background job ignores SIGINT, a thread may block some: all are inherited.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


_IDENTITIES: dict[str, Callable[[ctypes.CDLL], None]] = {"same": _same, "namespace": _namespace, "nobody": _nobody}

if __name__ == "__main__":
    main()
