#!/usr/bin/env bash
# venv.sh FOLDER REQUIREMENT: makes the virtual environment FOLDER, if it is not there, and
# installs REQUIREMENT ("." or ".[test]") into it, editable: the checkout's code runs.
# PYTHON_FOR_VENV names the interpreter; otherwise the first that is new enough is taken.
set -euo pipefail
folder=$1 requirement=$2
source "$(dirname "$0")/apt.sh"

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON_FOR_VENV:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  say "No Python 3.11 or newer was found${PYTHON_FOR_VENV:+ as $PYTHON_FOR_VENV}."
  say "On Debian 12 or Ubuntu 24.04: apt-get install python3 python3-venv"
  say "Elsewhere: install Python 3.11 or newer and say PYTHON_FOR_VENV=/path/to/python3 make demo"
  return 1
}

# Debian splits venv's pip off into a package of its own.
ensure_venv_module() {
  local python=$1 package
  "$python" -c 'import ensurepip, venv' 2>/dev/null && return
  package=$(basename "$python")-venv
  say "Installing $package, which Python needs to make virtual environments ..."
  if ! apt_install "$package" || ! "$python" -c 'import ensurepip, venv'; then
    say "$python cannot make virtual environments. As root: apt-get install $package"
    return 1
  fi
}

if [[ ! -x $folder/bin/pip ]]; then
  python=$(find_python)
  ensure_venv_module "$python"
  say "Making $folder with $("$python" --version) ..."
  "$python" -m venv --clear "$folder"
fi
say "Installing $requirement ..."
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$requirement"
