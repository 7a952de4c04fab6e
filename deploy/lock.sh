#!/usr/bin/env bash
# Writes constraints.txt, the lock file: one pinned version of everything, for every platform.
#
# A constraints file and not uv.lock, because uv.lock records download addresses. torch is pinned without its build
# tag and its CUDA wheels are left out: the same file then serves the CPU build and the CUDA build of one release.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
"$uv" pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-annotate --no-header --quiet \
  --upgrade -o constraints.txt
python3 - <<'PY'
import pathlib, re
path = pathlib.Path("constraints.txt")
lines = path.read_text().splitlines()
(torch,) = {match[1] for line in lines if (match := re.match(r"torch==([0-9.]+)", line))}
kept = [line for line in lines if not re.match(r"(nvidia-|triton|cuda-|torch==)", line)]
path.write_text("\n".join(sorted([*kept, f"torch=={torch}"])) + "\n")
PY
