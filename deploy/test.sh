#!/usr/bin/env bash
# Everything that is checked: formatting, lint, types, the arrows between the rooms, and the tests on real servers;
# the service's own tests also in an environment without the worker's libraries.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/setup.sh embedded,worker,dev .venv-test
deploy/setup.sh embedded,dev .venv-base
bin=.venv-test/bin
step() { printf '\n== %s\n' "$1"; shift; "$@"; }
export HF_HUB_OFFLINE=1
step "format" $bin/ruff format --check .
step "lint" $bin/ruff check .
step "types" $bin/mypy
step "arrows" $bin/lint-imports
step "the service's tests where torch is not installed" \
  .venv-base/bin/python -m pytest -q -n 2 -m "not worker" tests/api tests/papers tests/claims tests/core tests/house
step "tests" $bin/python -m pytest -q -n 2 "$@"
