#!/usr/bin/env bash
# Makes the virtual environment with uv in it. Usage: venv.sh PYTHON FOLDER
set -euo pipefail
python=$1 venv=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "khung needs Python 3.11 or newer; found: $("$python" --version 2>&1 || echo none). Name another with make PYTHON=/path/to/python3.11 …" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    "$(dirname "$0")/apt.sh" "python$("$python" -c "import sys; print(\"%d.%d\" % sys.version_info[:2])")-venv"
fi
echo "Making $venv with $("$python" --version), $python …"
"$python" -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check uv==0.13.9
