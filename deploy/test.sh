#!/usr/bin/env bash
# Everything that is checked: formatting, lint, types, the arrows between the rooms, and the tests on real servers; the
# service's own tests in an environment without the worker's libraries, all others where these are installed.
# Usage: deploy/test.sh [ARGUMENTS OF PYTEST]     e.g. deploy/test.sh -k lease     runs just these tests, with everything
set -euo pipefail
cd "$(dirname "$0")/.."
# The rooms whose tests need nothing of the worker, and those that start processes and wait for them: these come first,
# and more at a time than there are cores. What is in neither list runs after them.
service=(
  tests/access tests/api tests/badges tests/claims tests/client tests/core tests/dashboard tests/events tests/house
  tests/papers tests/webhooks
)
waiting=(tests/faults tests/end_to_end tests/hot tests/hostile tests/cli tests/deploy tests/embedded)
others=()
for room in tests/*/; do
  case " ${service[*]} ${waiting[*]} " in *" ${room%/} "*) ;; *) others+=("${room%/}") ;; esac
done

step() { printf '\n== %s\n' "$1"; shift; "$@"; }
deploy/setup.sh embedded,worker,dev .venv-test
deploy/browser.sh
bin=.venv-test/bin
export HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=PASSIVE
# Hundreds of processes import the same modules: compiling torch alone takes more than a second of each.
unset PYTHONDONTWRITEBYTECODE
step "format" $bin/ruff format --check .
step "lint" $bin/ruff check .

slow=$(mktemp)
{ step "types" $bin/mypy && step "arrows" $bin/lint-imports; } >"$slow" 2>&1 &
slow_checks=$!
trap 'kill $slow_checks 2>/dev/null || true; rm -f "$slow"' EXIT
slow_ones() {
  if wait $slow_checks; then cat "$slow"; else cat "$slow"; exit 1; fi
}

# The tests of a file stay together, for what they share is made once a file.
run="-m pytest -q --dist loadfile --no-loadscope-reorder"
if [ $# -gt 0 ]; then
  step "tests" $bin/python $run -n 2 "$@"
  slow_ones
  exit
fi
deploy/setup.sh embedded,dev .venv-base
step "the service's tests where torch is not installed" .venv-base/bin/python $run -n 2 "${service[@]}"
slow_ones
step "all other tests" $bin/python $run -n 4 "${waiting[@]}" "${others[@]}"
