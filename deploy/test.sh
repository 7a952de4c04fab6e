#!/usr/bin/env bash
# Everything that is checked: formatting, lint, types, the arrows between the rooms, and the tests on real servers; the
# service's own tests in an environment without the worker's libraries, all others where these are installed.
# Usage: deploy/test.sh [ARGUMENTS OF PYTEST]     e.g. deploy/test.sh -k lease     runs just these tests, with everything
set -euo pipefail
cd "$(dirname "$0")/.."
service=(tests/access tests/api tests/badges tests/claims tests/core tests/dashboard tests/house tests/papers)
step() { printf '\n== %s\n' "$1"; shift; "$@"; }
deploy/setup.sh embedded,worker,dev .venv-test
deploy/browser.sh
bin=.venv-test/bin
export HF_HUB_OFFLINE=1
step "format" $bin/ruff format --check .
step "lint" $bin/ruff check .

# Types and arrows take one core; the tests wait for each other and for the clock, and leave some of it.
slow=$(mktemp)
{ step "types" $bin/mypy && step "arrows" $bin/lint-imports; } >"$slow" 2>&1 &
slow_checks=$!
trap 'kill $slow_checks 2>/dev/null || true; rm -f "$slow"' EXIT
slow_ones() {
  wait $slow_checks && cat "$slow" || { cat "$slow"; exit 1; }
}

run="-m pytest -q -n 2 --dist worksteal"
if [ $# -gt 0 ]; then
  step "tests" $bin/python $run "$@"
  slow_ones
  exit
fi
deploy/setup.sh embedded,dev .venv-base
step "the service's tests where torch is not installed" .venv-base/bin/python $run "${service[@]}"
slow_ones
step "all other tests" $bin/python $run "${service[@]/#/--ignore=}"
