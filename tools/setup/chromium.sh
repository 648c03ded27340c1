#!/usr/bin/env bash
# chromium.sh: where there is no Chromium, installs Debian's for the tests of the server's page,
# where it may. Without one those tests are skipped, and this says so.
set -euo pipefail
source "$(dirname "$0")/apt.sh"

found() {
  local name
  for name in ${AVILA_CHROMIUM:+"$AVILA_CHROMIUM"} chromium chromium-browser google-chrome google-chrome-stable; do
    ! command -v "$name" >/dev/null || return 0
  done
  return 1
}

found && exit 0
say "Installing Chromium for the tests of the server's page ..."
if apt_install chromium && found; then
  exit 0
fi
say "There is no Chromium: the tests of the server's page are skipped. As root: apt-get install chromium"
