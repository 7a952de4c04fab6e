#!/usr/bin/env bash
# Sees to it that the tests of the pages have a browser: one that is there, else Debian's or Ubuntu's Chromium where
# this may be installed. Without one it says that these tests will be skipped, and that is no failure.
set -uo pipefail
for name in "${VERDICTS_TEST_BROWSER:-}" chromium chromium-browser google-chrome; do
  [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && exit 0
done
skip() { echo "browser: $1: the tests in a browser are skipped" >&2; exit 0; }
[ "$(id -u)" = 0 ] || skip "no Chromium here, and only root can install one"
command -v apt-get >/dev/null 2>&1 || skip "no Chromium here, and no apt-get to install one with"
echo "installing chromium for the tests in a browser" >&2
export DEBIAN_FRONTEND=noninteractive
{ apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 ||
  skip "apt-get could not install chromium"
