"""Servers against their bare clients: PostgreSQL by COPY, OpenSearch by the bulk helper; and the two text engines side by side."""

import time

import numpy as np

from bench.stores_common import against, folder
from khung.stores import records_postgres


def load_postgres(count: int) -> dict:
    """Loading a shard's records against a bare COPY of the same rows, made before."""
    import servers
    from sample_frames import make_records, make_shots, make_video

    from khung.stores.postgres import Postgres

    server = servers.postgres()
    try:
        database = Postgres(server.url)
        names = [f"v{n:04d}" for n in range(count // 200)]
        videos, shots = [make_video(n, 200) for n in names], [s for n in names for s in make_shots(n, 200)]
        records = [r for n in names for r in make_records(n, 200)]
        rows = [records_postgres._frame("bare", r) for r in records]
        turn = iter(range(100))

        def bare() -> None:
            with database._pool.connection() as db:
                db.execute("CREATE TABLE IF NOT EXISTS bare (LIKE frames INCLUDING ALL)")
                db.execute("TRUNCATE bare")
                sql = records_postgres._COPY.replace("COPY frames", "COPY bare")
                with db.cursor() as cursor, cursor.copy(sql) as copy:
                    for row in rows:
                        copy.write_row(row)

        def ours() -> None:
            records_postgres.load_part(database, f"s{next(turn)}", videos, shots, records)

        found = against(ours, bare, len(records), time.perf_counter)
        database.close()
        return {"frames": len(records)} | found
    finally:
        server.close()


def write_opensearch(count: int) -> dict:
    """Writing an index against the client's bulk helper alone, with the same mapping."""
    import servers
    from opensearchpy.helpers import bulk

    from khung.stores.opensearch_index import _definition, _document, connect, delete_index, write_index

    server = servers.opensearch()
    try:
        client = connect(server.url, timeout_s=120)
        documents = _captions(count)

        def bare() -> None:
            delete_index(client, "bare")
            client.indices.create(index="bare", body=_definition(1, 0))
            actions = ({"_id": str(i), "_source": _document(i, words)} for i, words in documents)
            bulk(client, actions, index="bare", chunk_size=1000)
            client.indices.refresh(index="bare")

        def ours() -> None:
            delete_index(client, "ours")
            write_index(client, "ours", documents)

        return {"captions": count} | against(ours, bare, count, time.perf_counter, pairs=3)
    finally:
        server.close()


def agreement(count: int) -> dict:
    """tantivy in sixteen parts against OpenSearch in two shards: the same captions, the same questions."""
    import servers
    from text_agreement import agreement, documents

    from khung.stores.opensearch_index import connect, write_index
    from khung.stores.text_opensearch import OpenSearchText
    from khung.stores.text_tantivy import TantivyText, write_part

    server = servers.opensearch()
    try:
        client, everything = connect(server.url, timeout_s=120), list(documents(count))
        write_index(client, "all", everything, shards=2)
        with folder() as home:
            parts = [home / str(part) for part in range(16)]
            for number, part in enumerate(parts):
                part.mkdir()
                write_part(part, everything[number::16])
            return {"captions": count} | agreement(TantivyText(parts), OpenSearchText(client, "all"))
    finally:
        server.close()


def _captions(count: int) -> list[tuple[int, dict[str, str]]]:
    from khung.text.fields import FACETS, fields

    words = "người đàn ông áo đỏ đi bộ phố xe máy cầu chợ hoa biển trẻ em".split()
    random = np.random.default_rng(0)
    facets = {FACETS: "objects=person\nobjects=motorcycle\nplace=outdoor\ntime_of_day=day"}
    return [
        (i, fields(" ".join(random.choice(words, 14)), "a man walks on the street", "") | facets) for i in range(count)
    ]
