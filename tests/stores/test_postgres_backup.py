"""A drill on a real server: base backup, archived log, the machine lost, and recovery to a moment between two writes."""

import os
import shutil
import time
from pathlib import Path

import psycopg
import pytest
import servers

from khung.stores import LedgerEntry
from khung.stores.ledger_postgres import PostgresLedger
from khung.stores.postgres import Postgres
from khung.stores.postgres_backup import archive_settings, base_backup, prepare_restore

pytestmark = pytest.mark.services


def open_ledger(server: servers.Server) -> PostgresLedger:
    return PostgresLedger(Postgres(server.url, max_size=2, timeout_s=10))


def test_recovery_to_a_moment_and_to_the_end() -> None:
    wal, base = servers.own_folder("wal"), servers.own_folder("base")
    options = [part for name, value in archive_settings(wal).items() for part in ("-c", f"{name}={value}")]
    server = servers.postgres(*options)
    ledger = open_ledger(server)
    ledger.put([LedgerEntry("before-the-backup", "videos", "done")])
    base_backup(server.url, base, binaries=servers.postgres_binaries())
    ledger.put([LedgerEntry("after-the-backup", "videos", "done")])
    time.sleep(0.2)
    with psycopg.connect(server.url) as db:
        (at,) = db.execute(
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'"
        ).fetchone()
    time.sleep(0.2)
    ledger.put([LedgerEntry("a-mistake", "videos", "done")])
    ledger.close()
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute("SELECT pg_switch_wal()")
        wait_until_archived(db, wal)
    server.close()
    assert not server.folder.exists(), "the machine is lost"
    try:
        assert recovered(base, wal, at) == ["after-the-backup", "before-the-backup"]
        assert recovered(base, wal, "") == ["a-mistake", "after-the-backup", "before-the-backup"]
    finally:
        shutil.rmtree(wal)
        shutil.rmtree(base)


def wait_until_archived(db: psycopg.Connection, wal: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        (last,) = db.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        done = sorted(p.name for p in wal.iterdir() if len(p.name) == 24)
        if done and int(done[-1], 16) >= int(last, 16) - 1:
            return
        time.sleep(0.1)
    raise AssertionError("the log was not archived")


def recovered(base: Path, wal: Path, at: str) -> list[str]:
    """The videos that a new server knows after recovery."""
    folder, port = servers.own_folder("recovered"), servers.free_port()
    shutil.copytree(base, folder / "data")
    prepare_restore(folder / "data", wal, at=at)
    (folder / "data").chmod(0o700)
    if servers.AS_ROOT:
        for path in [folder / "data", *(folder / "data").rglob("*")]:
            os.chown(path, servers.NOBODY, servers.NOBODY)
    url = f"postgresql://khung@127.0.0.1:{port}/postgres"

    def ready() -> bool:
        try:
            with psycopg.connect(url, connect_timeout=2) as db:
                return db.execute("SELECT NOT pg_is_in_recovery()").fetchone() == (True,)
        except psycopg.OperationalError:
            return False

    command = [
        servers.postgres_binaries() / "postgres",
        "-D",
        folder / "data",
        "-p",
        str(port),
        "-k",
        "",
        "-h",
        "127.0.0.1",
    ]
    server = servers.Server(url, port, folder, command, ready).start()
    try:
        ledger = open_ledger(server)
        found = [entry.video_id for entry in ledger.find()]
        ledger.close()
        return found
    finally:
        server.close()


@pytest.mark.parametrize(
    ("url", "address", "password"),
    [
        ("postgresql://k%40:p%2Fw@db:5432/khung?x=1", "postgresql://k%40@db:5432/khung?x=1", "p/w"),
        ("postgresql://khung@db/khung", "postgresql://khung@db/khung", ""),
    ],
)
def test_a_password_stands_in_no_command_s_arguments(tmp_path: Path, url: str, address: str, password: str) -> None:
    for program in ("pg_basebackup", "pg_verifybackup"):
        path = tmp_path / program
        path.write_text(f'#!/bin/sh\necho "$PGPASSWORD|$@" > {tmp_path}/{program}.told\n')
        path.chmod(0o700)
    base_backup(url, tmp_path / "copy", binaries=tmp_path)
    told = (tmp_path / "pg_basebackup.told").read_text()
    assert told.startswith(f"{password}|-d {address} -D ")
