"""PostgreSQL's own backup: a base copy of the cluster, the log archived all along, and recovery to any moment in between.

Thin on purpose: pg_basebackup and the server's recovery do the work. Run on the database's machine, as its user.
"""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit, urlunsplit

from khung.errors import StoreError


def archive_settings(wal: Path) -> dict[str, str]:
    """The server settings that archive the log into `wal`; a segment is written aside and renamed, never over another."""
    folder = shlex.quote(str(wal))
    command = f"test ! -f {folder}/%f && cp %p {folder}/.%f.aside && mv {folder}/.%f.aside {folder}/%f"
    return {"archive_mode": "on", "wal_level": "replica", "archive_command": command, "archive_timeout": "300"}


def base_backup(url: str, folder: Path, *, binaries: Path | None = None) -> None:
    """A copy of the whole cluster into an empty folder, checked by pg_verifybackup."""
    address, secret = _without_password(url)
    _run(
        binaries,
        "pg_basebackup",
        "-d",
        address,
        "-D",
        str(folder),
        "--checkpoint=fast",
        "--wal-method=stream",
        "--manifest-checksums=SHA256",
        environment=secret,
    )
    _run(binaries, "pg_verifybackup", str(folder))


def prepare_restore(data: Path, wal: Path, *, at: str = "") -> None:
    """Make a copied base backup recover from the archived log when the server starts on it: to the end, or to `at` (ISO 8601)."""
    lines = [f"restore_command = 'cp {shlex.quote(str(wal))}/%f %p'"]
    if at:
        lines += [f"recovery_target_time = '{at}'", "recovery_target_action = 'promote'"]
    with open(data / "postgresql.auto.conf", "a", encoding="utf-8") as settings:
        settings.write("\n".join(["", *lines, ""]))
    (data / "recovery.signal").touch()


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """The address, and the password for the environment: everybody on the machine can read a command's arguments."""
    at = urlsplit(url)
    if at.password is None:
        return url, {}
    user, host = at.netloc.rpartition("@")[0].partition(":")[0], at.netloc.rpartition("@")[2]
    return urlunsplit(at._replace(netloc=f"{user}@{host}")), {"PGPASSWORD": unquote(at.password)}


def _run(
    binaries: Path | None, program: str, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
) -> None:
    path = str(binaries / program) if binaries else program
    try:
        subprocess.run(
            [path, *arguments], check=True, capture_output=True, text=True, env={**os.environ, **environment}
        )
    except FileNotFoundError as error:
        raise StoreError(f"{program} is not installed.", cure="Install PostgreSQL's client programs.") from error
    except subprocess.CalledProcessError as error:
        raise StoreError(f"{program} failed: {error.stderr.strip()[-500:]}") from error
