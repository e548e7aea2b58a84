"""What every SharedPointer promises: of many publishers one wins, and the history stays whole."""

import secrets
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import servers
from fault_proxy import fault_proxy

from khung.errors import ConfigError, PublishConflict, StoreError
from khung.shards.pointer import SharedPointer
from khung.shards.pointer_postgres import PostgresPointer
from khung.shards.pointer_s3 import S3Pointer
from khung.stores.archive_s3 import client_of
from khung.stores.postgres import Postgres

pytestmark = pytest.mark.services


def new_bucket(server: str) -> str:
    """The address of a bucket that is there."""
    url = f"{servers.shared(server)}-{secrets.token_hex(6)}"
    client, bucket = client_of(url)
    client.make_bucket(bucket)
    return url


@pytest.fixture(params=["postgres", "seaweedfs"])
def shared(request: pytest.FixtureRequest) -> Iterator[SharedPointer]:
    if request.param == "seaweedfs":
        yield S3Pointer(new_bucket("seaweedfs"))
        return
    database = Postgres(servers.shared("postgres"), schema=f"t{secrets.token_hex(6)}", max_size=4)
    yield PostgresPointer(database)
    database.close()


def all_at_once(shared: SharedPointer, names: list[str], expect: str | None) -> list[str]:
    """The names of those whose move went through."""
    won: list[str] = []

    def run(name: str) -> None:
        try:
            shared.move(name, "publish", expect=expect)
            won.append(name)
        except PublishConflict:
            pass

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def test_moves_are_kept_in_their_order(shared: SharedPointer) -> None:
    assert shared.read().current is None and shared.read().version == 0
    shared.move("a", "publish", expect=None)
    shared.move("b", "publish", expect="a")
    shared.move("b", "publish", expect="a")  # repeated after a lost answer
    shared.move("a", "rollback")
    moves = shared.read().moves
    assert [(m.version, m.snapshot_id, m.reason) for m in moves] == [
        (1, "a", "publish"),
        (2, "b", "publish"),
        (3, "a", "rollback"),
    ]
    assert all(m.at.endswith("+00:00") for m in moves)


def test_a_pointer_that_stands_elsewhere_is_not_moved(shared: SharedPointer) -> None:
    with pytest.raises(PublishConflict):
        shared.move("b", "publish", expect="a")
    shared.move("a", "publish", expect=None)
    for expected in (None, "c"):
        with pytest.raises(PublishConflict):
            shared.move("b", "publish", expect=expected)
    assert shared.read().current == "a"


def test_of_many_publishers_exactly_one_wins(shared: SharedPointer) -> None:
    """Also the very first time, when there is nothing yet to compare with."""
    before = None
    for turn in range(5):
        won = all_at_once(shared, [f"{turn}-{i}" for i in range(5)], before)
        assert len(won) == 1
        before = won[0]
        assert shared.read().current == before
    assert [m.version for m in shared.read().moves] == [1, 2, 3, 4, 5]


def test_publishers_that_expect_nothing_all_come_in(shared: SharedPointer) -> None:
    names = [f"s{i}" for i in range(4)]
    for name in names:
        shared.move(name, "publish")
    assert [m.snapshot_id for m in shared.read().moves] == names


def test_what_is_forgotten_is_not_rolled_back_to(shared: SharedPointer) -> None:
    for name in ("a", "b", "a", "c"):
        shared.move(name, "publish")
    shared.forget(["a", "c", "never"])
    assert [(m.version, m.snapshot_id) for m in shared.read().moves] == [(2, "b"), (4, "c")], "what is in service stays"


def test_an_s3_that_ignores_conditions_is_refused() -> None:
    """MinIO of 2024-01 writes `If-None-Match: *` over what is there: two first publishers would both win."""
    shared = S3Pointer(new_bucket("s3"))
    assert shared.read().current is None
    with pytest.raises(ConfigError, match="PostgreSQL"):
        shared.move("a", "publish")
    assert shared.read().current is None


def test_a_move_whose_answer_is_lost_is_made_once() -> None:
    """Every second PUT of the pointer is done and answered with 503."""
    url = new_bucket("seaweedfs")
    real = urlsplit(url).port
    S3Pointer(url).move("a", "publish")
    turns = iter(range(100))

    def lose(_: object, line: str) -> str:
        return "lost" if line.startswith("PUT") and "pointer.json" in line and next(turns) % 2 == 0 else ""

    with fault_proxy(real, lose) as port:
        through = S3Pointer(url.replace(f":{real}/", f":{port}/"))
        for name in ("b", "c", "d"):
            through.move(name, "publish")
    assert [m.snapshot_id for m in S3Pointer(url).read().moves] == ["a", "b", "c", "d"]


def test_an_s3_that_is_not_there() -> None:
    shared = S3Pointer(f"s3+http://a:b@127.0.0.1:{servers.free_port()}/bucket")
    with pytest.raises(StoreError):
        shared.read()
