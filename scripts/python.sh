#!/usr/bin/env bash
# Prints which Python to make the virtual environment with: the first on the path that can and is a quick build, else the first.
set -euo pipefail
quick=$(dirname "$0")/../khung/cli/interpreter.py
mapfile -t found < <(type -ap python3.11 python3)

for python in "${found[@]}"; do
    if "$python" -I -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && "$python" -I "$quick"; then
        echo "$python"
        exit
    fi
done
echo "${found[0]:-python3}"
