#!/usr/bin/env bash
# Makes a virtual environment in this checkout and installs the project with the named extras into it.
# Usage: deploy/setup.sh EXTRAS [FOLDER]     e.g. deploy/setup.sh embedded,worker
# Nothing outside the checkout is touched (but for the package cache); a second call with nothing new is instant.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=$1
venv=${2:-.venv}

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

for python in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
  [ -n "$python" ] && command -v "$python" >/dev/null 2>&1 || continue
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.version_info >= (3, 14))' 2>/dev/null && break
  python=
done
[ -n "$python" ] || fail "needs Python 3.11, 3.12 or 3.13 on the PATH, or named by PYTHON=/path/to/python"

stamp="$venv/.installed-$(printf '%s' "$extras" | tr , -)-$(cat pyproject.toml constraints.txt workers/runtime/packed/native/*.[ch] | cksum | tr ' ' -)"
[ -e "$stamp" ] && exit 0

if [ ! -x "$venv/bin/python" ]; then
  "$python" -m venv "$venv" >/dev/null 2>&1 || "$python" -m venv --without-pip "$venv" ||
    fail "'$python -m venv $venv' failed; on Debian and Ubuntu the module venv is in the package python3-venv"
fi
if [ ! -x "$venv/bin/uv" ]; then
  if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
  else  # Debian's Python without python3-venv: no pip in the environment, but perhaps one outside
    "$python" -m pip install --quiet --disable-pip-version-check --prefix "$venv" --ignore-installed uv ||
      fail "no pip was found to install uv with"
  fi
fi

# uv does not read pip's configuration: hand on a local folder of wheels and a mirror, where pip has them.
pip_setting() { "$venv/bin/python" -m pip config get "global.$1" 2>/dev/null || true; }
[ -n "${UV_FIND_LINKS:-}" ] || UV_FIND_LINKS=${PIP_FIND_LINKS:-$(pip_setting find-links)}
[ -n "${UV_DEFAULT_INDEX:-}" ] || UV_DEFAULT_INDEX=${PIP_INDEX_URL:-$(pip_setting index-url)}
[ -n "$UV_FIND_LINKS" ] && export UV_FIND_LINKS || unset UV_FIND_LINKS
[ -n "$UV_DEFAULT_INDEX" ] && export UV_DEFAULT_INDEX || unset UV_DEFAULT_INDEX

echo "installing paper-verdicts[$extras] into $venv" >&2
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --constraints constraints.txt --editable ".[$extras]"
rm -f "$venv"/.installed-*
touch "$stamp"
