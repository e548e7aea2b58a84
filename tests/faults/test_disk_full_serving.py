"""A machine that can write nothing any more still answers searches from the snapshot that it has open."""

import json
import subprocess
import sys
from pathlib import Path

from small_home import build

SERVE = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from fastapi.testclient import TestClient
from small_home import ColourEmbedder, settings_for
from khung.api.app import create_app
app = create_app(settings_for(Path(sys.argv[2])), embedder=ColourEmbedder())
with TestClient(app, raise_server_exceptions=False) as client:
    client.get("/ready")
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # as a full disk: no file takes another byte
    answers = [client.get("/v1/search", params={"q": q, "limit": 3}) for q in ("người", "man", "người", "a dog")]
    print(json.dumps([[a.status_code, len(a.json().get("hits", []))] for a in answers]))
"""


def test_searches_are_answered_when_the_disk_is_full(tmp_path: Path, clips: Path) -> None:
    build(tmp_path, clips)
    support = str(Path(__file__).parent.parent / "support")
    child = subprocess.run(
        [sys.executable, "-c", SERVE, support, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    answers = json.loads(child.stdout.splitlines()[-1])
    assert [status for status, _ in answers] == [200] * 4
    assert sum(hits for _, hits in answers) > 0
