#!/bin/sh
# Provide what the tests need beyond Python: a Chromium and a PostgreSQL server. Installs them on Debian as root;
# elsewhere says what is missing. The tests that need one skip with a reason when it stays missing.
set -eu

has_chromium() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }
has_postgres() { command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }

missing=""
has_chromium || missing="$missing chromium"
has_postgres || missing="$missing postgresql"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing for the tests:$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

has_chromium || echo "No Chromium found: the browser tests will be skipped. On Debian: apt-get install chromium" >&2
has_postgres || echo "No PostgreSQL found: its tests will be skipped. On Debian: apt-get install postgresql" >&2
