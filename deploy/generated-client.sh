#!/usr/bin/env bash
# Makes a client of the OpenAPI document with openapi-python-client, has mypy check it, and prints its functions.
# The generator comes in an environment of its own: it holds other libraries back. Usage: deploy/generated-client.sh
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv-test/bin
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
VERDICTS_DATABASE_URL=postgresql+psycopg://x/y VERDICTS_REDIS_URL=redis://x/0 VERDICTS_LOG_LEVEL=ERROR \
  $bin/python -c 'import json; from app.main import create_app; print(json.dumps(create_app().openapi()))' \
  > "$folder/openapi.json"
$bin/uv tool run --quiet --from openapi-python-client==0.29.1 openapi-python-client generate --meta none \
  --config deploy/generated-client.yaml --path "$folder/openapi.json" --output-path "$folder/client" --fail-on-warning
# Not looked at: what the generator brings itself (client.py), and import_claims.py, for whose bodies of text, one of
# three media types, it writes code that is wrong.
$bin/uv tool run --quiet --from mypy==1.19.1 --with attrs --with httpx --with types-python-dateutil \
  mypy --config-file /dev/null --no-incremental --follow-imports silent --exclude import_claims \
  "$folder/client/api" "$folder/client/models"
cd "$folder/client/api"
printf '%s\n' */*.py | grep -v __init__ | sort
