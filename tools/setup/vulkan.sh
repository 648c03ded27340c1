#!/usr/bin/env bash
# vulkan.sh PYTHON: where the engines see no usable adapter, installs the Vulkan loader and, if
# that does not help, Mesa's software driver (lavapipe), on Debian and Ubuntu where it may.
# A machine with a working GPU is left as it is.
set -euo pipefail
python=$1
here=$(dirname "$0")
source "$here/apt.sh"

READY=0 PARTIAL=1
DRIVER=(mesa-vulkan-drivers libvulkan1 libegl1 libegl-mesa0 libgl1-mesa-dri libgles2)
BACKPORTS_FILE=/etc/apt/sources.list.d/avila-backports.sources

probe() {
  local status=0
  say "Adapters of this machine:"
  "$python" "$here/adapters.py" >&2 || status=$?
  return $status
}

release() { (. "${AVILA_OS_RELEASE:-/etc/os-release}" && echo "${VERSION_CODENAME:-}"); }

# The mirror that apt already takes this release from, so that a company's mirror stays in use.
mirror() {
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk -v release="$1" '$2 == release { print $1; exit }'
}

# Debian 12's own Mesa 22.3 is too old for Dawn; its backports have 25.0.
add_backports() {
  local prefix uri
  [[ -z $(mirror bookworm-backports) ]] || return 0
  prefix=$(apt_prefix) || return 1
  uri=$(mirror bookworm)
  say "Adding Debian's backports to apt ($BACKPORTS_FILE) ..."
  $prefix tee "$BACKPORTS_FILE" >/dev/null <<SOURCES
Types: deb
URIs: ${uri:-http://deb.debian.org/debian/}
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
}

install_driver() {
  say "Installing Mesa's software Vulkan driver ..."
  if [[ $(release) == bookworm ]]; then
    add_backports && apt_install -t bookworm-backports "${DRIVER[@]}"
  else
    apt_install "${DRIVER[@]}"
  fi
}

has_loader() { ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1'; }

explain() {
  local target=
  [[ $(release) != bookworm ]] || target='-t bookworm-backports '
  say "Install a Vulkan driver, then run make again. As root, on Debian or Ubuntu:"
  if [[ -n $target && -z $(mirror bookworm-backports) ]]; then
    say "  echo 'deb $(mirror bookworm) bookworm-backports main' > /etc/apt/sources.list.d/backports.list"
  fi
  say "  apt-get update && apt-get install $target${DRIVER[*]}"
  say "Elsewhere: the graphics driver of the GPU's maker, or Mesa's lavapipe."
}

PATH=$PATH:/sbin:/usr/sbin
status=0
probe || status=$?
[[ $status != "$READY" ]] || exit 0
# macOS and Windows bring their drivers with the system.
[[ $(uname) == Linux ]] || exit "$status"

# A container with a GPU often has the driver and lacks only the loader.
if ! has_loader && apt_install libvulkan1 libegl1; then
  status=0
  probe || status=$?
  [[ $status != "$READY" ]] || exit 0
fi

if install_driver; then
  status=0
  probe || status=$?
fi
if [[ $status == "$READY" ]]; then
  exit 0
elif [[ $status == "$PARTIAL" ]]; then
  say "One engine has no adapter: what needs it is skipped. A newer Vulkan driver may help."
  exit 0
fi
explain
exit 1
