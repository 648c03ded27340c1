#!/usr/bin/env bash
# hip.sh: where there is no hiprtc, installs Debian's and clang for the tests that compile kernels
# for AMD's cards, where it may: 50 MB to load. Without them those tests are skipped, and this says so.
set -euo pipefail
source "$(dirname "$0")/apt.sh"

PACKAGES=(libamdhip64-5 libhiprtc-builtins5 rocm-device-libs clang-15)
LIBRARY=${AVILA_HIP_LIBRARY:-/usr/lib/x86_64-linux-gnu/libamdhip64.so.5}

found() { command -v clang-15 >/dev/null && [[ -e $LIBRARY ]]; }

found && exit 0
say "Installing hiprtc and clang for the tests that compile for AMD's cards ..."
if apt_install "${PACKAGES[@]}" && found; then
  exit 0
fi
say "There is no hiprtc: the tests that compile for AMD's cards are skipped."
say "As root, on Debian 12: apt-get install ${PACKAGES[*]}"
