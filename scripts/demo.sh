#!/usr/bin/env bash
# The main job, start to end: bundled clips through the real pipeline, then three searches. Usage: demo.sh CLIP…
# A second run finds everything done and goes straight to the searches.
set -euo pipefail
khung=.venv/bin/khung

"$khung" ingest "$@"
echo
ask() { printf '\033[1m$ khung search "%s"\033[0m\n' "$1"; "$khung" search "$1" -n 5 --sheet ".khung/demo/$2.webp"; echo; }
ask "người đi bộ trên phố" vi
ask "con vet trang" vi-unmarked
ask "a bicycle in the street" en
"$khung" status
