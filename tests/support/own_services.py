"""A corner of its own on each of the session's servers: a database, a bucket, names of indexes."""

import secrets
from urllib.parse import urlsplit

import psycopg
import servers

from khung.settings import StoreSettings


def own_database() -> str:
    """The address of a new, empty database."""
    server, name = servers.shared("postgres"), f"t{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def own_stores(**more: object) -> StoreSettings:
    """S3, PostgreSQL and OpenSearch; nothing that another test uses."""
    name = f"t{secrets.token_hex(6)}"
    own = {
        "archive_url": f"{servers.shared('s3')}-{name}",
        "postgres_url": servers.shared("postgres"),
        "postgres_schema": name,
        "opensearch_url": servers.shared("opensearch"),
        "opensearch_prefix": name,
    }
    return StoreSettings(_env_file=None, **(own | more))
