"""Servers that fail, break off, lie or go away: what each store promises then. Real servers, behind a proxy that spoils answers."""

import contextlib
import dataclasses
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import servers
from fault_proxy import fault_proxy, now_and_then, reads
from sample_frames import make_records, make_shots, make_video

from khung.errors import CorruptError, NotFound, StoreError
from khung.stores import LedgerEntry, TextClause
from khung.stores.archive_s3 import S3Archive
from khung.stores.cache_redis import RedisCache
from khung.stores.ledger_postgres import PostgresLedger
from khung.stores.opensearch_index import connect, delete_index, write_index
from khung.stores.postgres import Postgres, migrations
from khung.stores.records_postgres import PostgresRecords, drop_parts, load_part
from khung.stores.text_opensearch import OpenSearchText

pytestmark = pytest.mark.services


# -- S3


def s3_url(port: int | None = None) -> str:
    """A bucket of its own; through a proxy when a port is given."""
    url = f"{servers.shared('s3')}-{secrets.token_hex(6)}"
    at = urlsplit(url)
    return url if port is None else url.replace(f":{at.port}/", f":{port}/")


def s3_port() -> int:
    return urlsplit(servers.shared("s3")).port or 80


def test_s3_failing_three_times_in_ten(tmp_path: Path) -> None:
    values = {f"frames/v/{i:08d}/thumb.webp": os.urandom(2000) for i in range(40)}
    with fault_proxy(s3_port(), now_and_then("503", 0.3)) as port:
        archive = S3Archive(s3_url(port), tmp_path)
        for key, value in values.items():
            archive.put_bytes(key, value)
        assert list(archive.keys("frames/")) == sorted(values)
        assert {key: archive.get_bytes(key) for key in values} == values
        big = tmp_path / "big.bin"
        big.write_bytes(os.urandom(12 * 2**20))  # several parts
        archive.put_file("media/v.mp4", big)
        assert archive.local_path("media/v.mp4").read_bytes() == big.read_bytes()
        for key in values:
            archive.delete(key)
        assert list(archive.keys("frames/")) == []


def test_a_body_that_breaks_off_now_and_then_is_fetched_again(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    with fault_proxy(s3_port(), now_and_then("cut", 0.3), seed=3) as port:
        archive = S3Archive(s3_url(port), tmp_path)
        archive.put_bytes("a/b", data)
        for _ in range(10):
            assert archive.get_bytes("a/b") == data


@pytest.mark.parametrize("what", ["cut", "short", "flip"])
def test_a_body_that_is_always_wrong_is_refused(tmp_path: Path, what: str) -> None:
    url = s3_url()
    S3Archive(url, tmp_path / "direct").put_bytes("a/b", os.urandom(100_000))
    with fault_proxy(s3_port(), reads(what)) as port:
        archive = S3Archive(url.replace(f":{s3_port()}/", f":{port}/"), tmp_path / "spoilt")
        with pytest.raises(CorruptError, match="a/b"):
            archive.get_bytes("a/b")
        with pytest.raises(CorruptError, match="a/b"):
            archive.local_path("a/b")
        assert list((tmp_path / "spoilt").iterdir()) == [], "nothing half-fetched stays in the cache"


def test_s3_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Is the S3 server up"):
        S3Archive(s3_url(servers.free_port()), tmp_path)


def test_the_copies_stay_within_their_room(tmp_path: Path) -> None:
    archive = S3Archive(s3_url(), tmp_path, cache_bytes=250_000)
    for number in range(5):
        archive.put_bytes(f"a/{number}", bytes([number]) * 100_000)
        with archive.local_path(f"a/{number}").open("rb") as held:
            archive.local_path(f"a/{max(0, number - 1)}")
            assert held.read(1) == bytes([number])
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 250_000


def test_a_copy_that_another_process_takes_at_that_moment_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = S3Archive(s3_url(), tmp_path)
    archive.put_bytes("a/b", b"one")
    archive.local_path("a/b")
    touch = os.utime

    def taken(path: Path) -> None:
        path.unlink()
        touch(path)

    monkeypatch.setattr("khung.stores.archive_s3.os.utime", taken)
    assert archive.local_path("a/b").read_bytes() == b"one"


def test_a_new_value_is_not_hidden_by_an_old_copy(tmp_path: Path) -> None:
    archive = S3Archive(s3_url(), tmp_path)
    for value in (b"one", b"two"):
        archive.put_bytes("a/b", value)
        assert archive.local_path("a/b").read_bytes() == value


# -- PostgreSQL


@pytest.fixture
def own_postgres() -> Iterator[servers.Server]:
    """A server that the test may kill."""
    server = servers.postgres()
    yield server
    server.close()


def test_the_server_restarts_in_the_middle_of_the_work(own_postgres: servers.Server) -> None:
    """Whoever was told “done” is found afterwards, once; whoever met the restart tries again by itself or is told."""
    database = Postgres(own_postgres.url, max_size=4, timeout_s=5)
    ledger = PostgresLedger(database)
    done: set[str] = set()
    stop = threading.Event()

    def write(worker: int) -> None:
        number = 0
        while not stop.is_set():
            name = f"w{worker}-{number}"
            try:
                ledger.claim(f"{worker:032}{number:032}", f"{name}.mp4", name)
                ledger.put([LedgerEntry(name, "videos", "done", attempt=number)])
                done.add(name)
            except StoreError:
                time.sleep(0.05)
                continue
            number += 1

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(0.7)
        own_postgres.kill(signal.SIGKILL)
        own_postgres.start()
    time.sleep(0.7)
    stop.set()
    for thread in threads:
        thread.join()
    found = [entry.video_id for entry in ledger.find(stage="videos", state="done")]
    assert len(found) == len(set(found)) and done <= set(found)
    assert len(done) > 20
    ledger.close()


def sample(names: tuple[str, ...] = ("a", "b")) -> tuple[list, list, list]:
    return (
        [make_video(n) for n in names],
        [s for n in names for s in make_shots(n)],
        [r for n in names for r in make_records(n, 200)],
    )


def test_a_load_that_dies_leaves_nothing(own_postgres: servers.Server) -> None:
    database = Postgres(own_postgres.url, max_size=2, timeout_s=5)
    videos, shots, records = sample()

    def dying():
        yield from records[:150]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_part(database, "s1", videos, shots, dying())
    with pytest.raises(NotFound):
        PostgresRecords(database, ["s1"])
    assert load_part(database, "s1", videos, shots, records) == 400
    assert load_part(database, "s1", videos, shots, records) == 0, "a second load finds the marker"
    assert len(PostgresRecords(database, ["s1"])) == 400
    database.close()


def test_the_server_dies_while_a_shard_is_loaded(own_postgres: servers.Server) -> None:
    """Killed at many moments: afterwards the shard is there as a whole or not at all, and loading it again completes it."""
    database = Postgres(own_postgres.url, max_size=2, timeout_s=5)
    videos, shots, records = sample()
    for turn in range(5):
        threading.Timer(0.02 * turn, own_postgres.kill).start()
        with contextlib.suppress(StoreError):
            load_part(database, f"s{turn}", videos, shots, records)
        time.sleep(0.2)
        own_postgres.start()
        database.close()
        database = Postgres(own_postgres.url, max_size=2, timeout_s=5)
        load_part(database, f"s{turn}", videos, shots, records)
        assert len(PostgresRecords(database, [f"s{turn}"])) == 400
    database.close()


def test_the_janitor_takes_what_no_snapshot_names() -> None:
    database = Postgres(servers.shared("postgres"), schema=f"t{secrets.token_hex(6)}", max_size=2)
    for shard in ("s1", "s2", "s3"):
        load_part(database, shard, *sample())
    assert drop_parts(database, keep=["s2", "unheard-of"]) == ["s1", "s3"]
    assert len(PostgresRecords(database, ["s2"])) == 400
    rows = database.transaction(lambda db: db.execute("SELECT count(*) FROM frames").fetchone())
    assert rows == (400,)
    database.close()


def test_migrations_go_forward_with_data_and_only_forward() -> None:
    url, schema = servers.shared("postgres"), f"t{secrets.token_hex(6)}"
    old = Postgres(url, schema=schema, max_size=2, migrate=False)
    assert old.migrate(upto=1) == 1
    PostgresLedger(old).put([LedgerEntry("v", "videos", "done")])
    with pytest.raises(StoreError):
        load_part(old, "s1", *sample())
    old.close()
    new = Postgres(url, schema=schema, max_size=2)
    assert new.migrate() == len(migrations()) >= 3
    assert PostgresLedger(new).get("v")["videos"].state == "done"
    load_part(new, "s1", *sample())
    new.transaction(lambda db: db.execute("INSERT INTO migrations (version) VALUES (999)"))
    new.close()
    with pytest.raises(StoreError, match="Update khung"):
        Postgres(url, schema=schema, max_size=2)


@pytest.mark.parametrize("version", range(1, len(migrations())))
def test_every_older_schema_comes_forward_with_its_data(version: int) -> None:
    """What an older khung had written is read by this one, and nothing of it changes."""
    url, schema = servers.shared("postgres"), f"t{secrets.token_hex(6)}"
    old = Postgres(url, schema=schema, max_size=2, migrate=False)
    assert old.migrate(upto=version) == version
    ledger = PostgresLedger(old)
    ledger.claim("a" * 64, "clip.mp4", "clip")
    ledger.put(
        [LedgerEntry("clip", stage, "done", fingerprint=f"f-{stage}", attempt=2) for stage in ("videos", "shots")]
    )
    if version >= 2:
        load_part(old, "s1", *sample())
    before = {table: rows_of(old, table) for table in tables_of(old)}
    old.close()

    new = Postgres(url, schema=schema, max_size=2)
    assert new.migrate() == len(migrations())
    columns = {table: set(rows[0]) for table, rows in before.items() if rows}
    after = {t: [{k: v for k, v in row.items() if k in columns[t]} for row in rows_of(new, t)] for t in columns}
    assert after == {table: before[table] for table in columns}
    assert PostgresLedger(new).get("clip")["shots"].fingerprint == "f-shots"
    assert PostgresLedger(new).claim("a" * 64, "other.mp4", "other") == ("other", "clip")
    assert load_part(new, "s1", *sample()) == (0 if version >= 2 else 400)
    assert len(PostgresRecords(new, ["s1"])) == 400
    new.close()


def tables_of(database: Postgres) -> list[str]:
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_name <> 'migrations'"
    return sorted(row[0] for row in database.transaction(lambda db: db.execute(sql).fetchall()))


def rows_of(database: Postgres, table: str) -> list[dict]:
    sql = f"SELECT to_jsonb(t) FROM {table} AS t ORDER BY 1"
    return [row[0] for row in database.transaction(lambda db: db.execute(sql).fetchall())]


def test_many_processes_migrate_at_once() -> None:
    url, schema = servers.shared("postgres"), f"t{secrets.token_hex(6)}"
    errors: list[Exception] = []

    def open_one() -> None:
        try:
            Postgres(url, schema=schema, max_size=1).close()
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_postgres_that_is_not_there() -> None:
    with pytest.raises(StoreError, match="does not answer"):
        Postgres(f"postgresql://khung@127.0.0.1:{servers.free_port()}/postgres", max_size=1, timeout_s=1)


def test_a_character_that_postgres_cannot_keep_is_refused() -> None:
    database = Postgres(servers.shared("postgres"), schema=f"t{secrets.token_hex(6)}", max_size=2)
    video = dataclasses.replace(make_video("v"), source_name="a\0b")
    with pytest.raises(StoreError, match="NUL"):
        load_part(database, "s", [video], [], [])
    database.close()


# -- Redis


def test_a_cache_that_goes_away_is_a_miss_and_costs_little() -> None:
    server = servers.valkey()
    try:
        cache = RedisCache(server.url, timeout_s=5, pause_s=0.3)
        cache.put("k", b"value", ttl_s=60)
        assert cache.get("k") == b"value"
        server.kill()
        assert cache.get("k") is None
        begun = time.monotonic()
        for _ in range(1000):
            assert cache.get("k") is None
            cache.put("k", b"x", ttl_s=60)
        assert time.monotonic() - begun < 10, "the server is left alone after a failure"
        server.start()
        time.sleep(0.4)
        cache.put("k", b"again", ttl_s=60)
        assert cache.get("k") == b"again"
    finally:
        server.close()


def test_a_frozen_cache_is_a_miss() -> None:
    server = servers.valkey()
    try:
        cache = RedisCache(server.url, timeout_s=0.05)
        cache.put("k", b"value", ttl_s=60)
        os.killpg(server.process.pid, signal.SIGSTOP)
        assert cache.get("k") is None
        os.killpg(server.process.pid, signal.SIGCONT)
    finally:
        server.close()


def test_poisoned_and_mistyped_values_are_misses() -> None:
    import redis

    prefix = f"{secrets.token_hex(6)}:"
    cache = RedisCache(servers.shared("redis"), prefix=prefix, timeout_s=2)
    plain = redis.Redis.from_url(servers.shared("redis"))
    cache.put("k", b"value", ttl_s=60)
    (name,) = plain.keys(f"{prefix}*".encode())
    sound = plain.get(name)
    for poison in (b"", b"short", sound[:-1], sound[:-1] + b"?", b"\x80\x04pickle"):
        plain.set(name, poison)
        assert cache.get("k") is None
    plain.delete(name)
    plain.lpush(name, "a list")
    assert cache.get("k") is None
    plain.delete(name)
    cache.put("k", b"value", ttl_s=60)
    assert cache.get("k") == b"value", "a wrong type is no reason to leave the server alone"
    plain.close()


# -- OpenSearch


DOCUMENTS = [(i, {"vi_key": f"chung w{i % 7}"}) for i in range(300)]
ASK = [TextClause("vi_key", "chung"), TextClause("vi_key", "w3", 2.0)]


@pytest.fixture
def index_name() -> Iterator[str]:
    name = f"test-{secrets.token_hex(6)}"
    yield name
    delete_index(connect(servers.shared("opensearch"), timeout_s=60), name)


def opensearch_port() -> int:
    return urlsplit(servers.shared("opensearch")).port or 9200


@pytest.mark.parametrize("what", ["500", "503", "429", "partial", "garbage", "cut"])
def test_an_opensearch_that_answers_nonsense_is_an_error_not_an_empty_result(index_name: str, what: str) -> None:
    write_index(connect(servers.shared("opensearch"), timeout_s=60), index_name, DOCUMENTS)
    spoil = [""]
    with fault_proxy(opensearch_port(), lambda *_: spoil[0]) as port:
        text = OpenSearchText(connect(f"http://127.0.0.1:{port}", timeout_s=30), index_name)
        assert len(text.search(ASK, limit=5)) == 5
        spoil[0] = what
        with pytest.raises(StoreError):
            text.search(ASK, limit=5)
        with pytest.raises(StoreError):
            text.document_counts(ASK)


def test_a_slow_opensearch_is_given_up(index_name: str) -> None:
    write_index(connect(servers.shared("opensearch"), timeout_s=60), index_name, DOCUMENTS)
    spoil = [""]
    with fault_proxy(opensearch_port(), lambda *_: spoil[0]) as port:
        client = connect(f"http://127.0.0.1:{port}", timeout_s=1.5)
        text = OpenSearchText(client, index_name)
        spoil[0] = "slow"
        with pytest.raises(StoreError):  # who waited two seconds would have an answer
            text.search(ASK, limit=5)


def test_an_opensearch_that_is_not_there() -> None:
    with pytest.raises(StoreError, match="Is the server up"):
        OpenSearchText(connect(f"http://127.0.0.1:{servers.free_port()}"), "x")


def test_an_index_is_written_once(index_name: str) -> None:
    from opensearchpy.exceptions import AuthorizationException

    client = connect(servers.shared("opensearch"), timeout_s=60)
    with pytest.raises(NotFound):
        OpenSearchText(client, index_name)
    assert write_index(client, index_name, DOCUMENTS) == 300
    assert write_index(client, index_name, [(1, {})]) == 300, "a complete index is left as it is"
    with pytest.raises(AuthorizationException):
        client.index(index=index_name, body={"vector_id": 1})
    assert OpenSearchText(client, index_name).ids().tolist() == list(range(300))


def test_an_index_that_a_crash_left_half_written_is_refused_and_written_anew(index_name: str) -> None:
    client = connect(servers.shared("opensearch"), timeout_s=60)

    def dying():
        yield from DOCUMENTS[:50]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_index(client, index_name, dying())
    with pytest.raises(CorruptError, match="not complete"):
        OpenSearchText(client, index_name)
    assert write_index(client, index_name, DOCUMENTS) == 300
    assert len(OpenSearchText(client, index_name)) == 300


def test_a_large_filter_is_as_exact_as_a_small_one(index_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from khung.stores import text_opensearch

    client = connect(servers.shared("opensearch"), timeout_s=60)
    write_index(client, index_name, [(i, {"vi_key": f"chung {'hon' if i < 4000 else 'kem'}"}) for i in range(5000)])
    text = OpenSearchText(client, index_name)
    allowed = np.arange(3990, 5000)
    clauses = [TextClause("vi_key", "chung"), TextClause("vi_key", "hon", 3.0)]
    small = text.search(clauses, limit=30, allowed=allowed)
    monkeypatch.setattr(text_opensearch, "FILTER_UP_TO", 10)
    assert text.search(clauses, limit=30, allowed=allowed) == small
    assert [hit.vector_id for hit in small] == list(range(3990, 4020))
