#!/usr/bin/env bash
# What the tests need and no Python package carries: Chromium for the browser tests, ffmpeg and ffprobe as the reference,
# Java for OpenSearch, and fonts with Vietnamese letters, so that pictures of the pages are readable.
set -euo pipefail
missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
command -v ffprobe >/dev/null || missing+=(ffmpeg)
command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
fc-list 2>/dev/null | grep -q DejaVu || missing+=(fonts-dejavu-core fontconfig)
if [ ${#missing[@]} -gt 0 ]; then "$(dirname "$0")/apt.sh" "${missing[@]}"; fi
