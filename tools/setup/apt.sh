# Sourced by the setup scripts: installs system packages on Debian and Ubuntu where it may.

# Prints the command prefix under which packages may be installed here; fails where none may.
# AVILA_NO_APT=1 forbids it.
apt_prefix() {
  [[ -z ${AVILA_NO_APT:-} ]] || return 1
  command -v apt-get >/dev/null || return 1
  if [[ $(id -u) == 0 ]]; then
    echo env
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    echo sudo -n env
  else
    return 1
  fi
}

# apt_install ARGUMENT... : apt-get install without questions and without suggestions.
apt_install() {
  local prefix
  prefix=$(apt_prefix) || return 1
  # A third-party source that cannot be reached must not stop us: the install below decides.
  $prefix DEBIAN_FRONTEND=noninteractive apt-get update -qq || true
  $prefix DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get install -qq -y --no-install-recommends "$@" \
    >/dev/null
}

say() { printf '%s\n' "$*" >&2; }
