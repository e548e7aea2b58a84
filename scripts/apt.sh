#!/usr/bin/env bash
# Installs Debian packages when this user may; else says the command. Usage: apt.sh PACKAGE…
set -euo pipefail
as_root=()
if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        echo "These packages are missing: $*. Run: sudo apt-get install -y $*" >&2
        exit 1
    fi
fi
echo "Installing with apt: $* …"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null
