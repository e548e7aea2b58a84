"""docs/settings.md is what khung/settings says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_of_settings_is_the_one_that_the_settings_make():
    command = [sys.executable, "scripts/settings_page.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
