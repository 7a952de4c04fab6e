"""Whom a server runs as when we are root: Postgres refuses to be."""

import json
import os
import signal
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

from app.embedded import launcher

_NOBODY = 65534


class Identity(StrEnum):
    """How the launcher changes who the child is."""

    same = "same"
    namespace = "namespace"
    """Root, under the number 65534 in a user namespace: nothing is chowned, no user is made."""
    nobody = "nobody"
    """The user nobody, who is given the folder: for containers that forbid user namespaces."""


def not_root(program: Path, folder: Path) -> Identity:
    """The gentlest identity that is not root and in which `program` runs and `folder` is reached."""
    if os.geteuid() != 0:
        return Identity.same
    if sys.platform == "linux" and _runs(program, folder, Identity.namespace):
        return Identity.namespace
    return Identity.nobody


def give(folder: Path, identity: Identity) -> None:
    """Makes the folder and all in it the identity's own; does nothing where it is already, or we are not root."""
    if os.geteuid() != 0:
        return
    owner = _NOBODY if identity is Identity.nobody else 0
    if folder.stat().st_uid == owner:
        return
    # The folder itself comes last: an interrupted walk starts again.
    for path in (*folder.rglob("*"), folder):
        os.chown(path, owner, owner, follow_symlinks=False)


def _runs(program: Path, folder: Path, identity: Identity) -> bool:
    order = {
        "parent": os.getpid(),
        "argv": [str(program), "--version"],
        "cwd": str(folder),
        "identity": identity,
        "death_signal": int(signal.SIGKILL),
    }
    argv = [sys.executable, "-I", "-S", launcher.__file__, json.dumps(order)]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=30, check=False)  # noqa: S603 our own launcher
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
