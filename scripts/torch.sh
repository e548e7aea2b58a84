#!/usr/bin/env bash
# The CPU build of torch, which only tests and GPU models need. Usage: torch.sh BIN
# pip finds it in a folder of wheels (PIP_FIND_LINKS) or at the CPU index of the PyTorch project.
set -euo pipefail
bin=$1
"$bin/python" -c 'import torch, accelerate, bitsandbytes' 2>/dev/null && exit 0
echo "Installing the CPU build of torch …"
index=(--extra-index-url https://download.pytorch.org/whl/cpu)
if [ -n "${PIP_FIND_LINKS:-}" ]; then index=(); fi
"$bin/pip" install -q --disable-pip-version-check torch==2.13.0 "${index[@]}" 2> >(grep -v '^WARNING: Location' >&2)
"$bin/uv" pip install -q --no-deps accelerate==1.15.0 bitsandbytes==0.50.2
