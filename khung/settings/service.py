"""What the search service heeds: what a request may cost, how hits are put in order, which contest it speaks to."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServeSettings(BaseSettings):
    """The dining room: what one request may cost, and how much of it at once."""

    model_config = SettingsConfigDict(env_prefix="KHUNG_SERVE_", env_file=".env", extra="ignore")

    search_threads: int = Field(2, ge=1, description="searches that run at the same time")
    queue_depth: int = Field(16, ge=0, description="searches that may wait; beyond, 503 with Retry-After")
    search_timeout_s: float = Field(10.0, gt=0, description="a searcher waits no longer, queue included")
    cache_bytes: int = Field(64 * 2**20, ge=0, description="memory for kept answers, by snapshot and question; 0: none")
    poll_s: float = Field(1.0, gt=0, description="how often the snapshot pointer is looked at")
    max_image_bytes: int = Field(10 * 2**20, description="of a picture that is asked with")
    max_image_pixels: int = Field(50_000_000, description="of the same")
    max_upload_bytes: int = Field(4 * 2**30, description="of one uploaded video")
    api_docs: bool = Field(True, description="serve /v1/openapi.json and /docs")
    keys: Literal["auto", "required", "off"] = Field(
        "auto", description="API keys; auto: as soon as there is one, and on every address but the loopback"
    )
    keys_file: Path | None = Field(None, description="where the keys' hashes are kept; default HOME/keys.json")
    search_rate: str = Field("1200/minute", description="searches of one key or, without, one peer; empty: no limit")
    upload_rate: str = Field("120/minute", description="uploads of one key or peer; empty: no limit")
    failure_rate: str = Field("30/minute", description="wrong keys and logins of one peer; empty: no limit")
    trusted_proxies: str = Field(
        "", description="addresses or networks, by comma, whose X-Forwarded-For is believed; empty: none"
    )
    hosts: str = Field(
        "", description="further names, by comma, under which a khung without keys may be asked at the loopback address"
    )
    workers: int = Field(1, ge=1, le=64, description="processes that serve; each reads the same mapped snapshot")
    header_timeout_s: float = Field(10.0, gt=0, description="a connection must bring a whole request head in this time")
    max_connections: int = Field(5000, ge=10, description="of one worker; beyond, 503")
    linger_s: float = Field(900.0, ge=0, description="how long a replaced snapshot still answers cursors, unused")
    rewarm: int = Field(20, ge=0, description="popular questions asked anew when a snapshot goes into service")
    secret: SecretStr = Field(
        SecretStr(""), description="signs cursors and logins; empty: made once and kept in HOME. One for all machines"
    )


class SearchSettings(BaseSettings):
    """How hits are put in order, beyond the fixed combination. docs/how-to/evaluate.md."""

    model_config = SettingsConfigDict(env_prefix="KHUNG_SEARCH_", env_file=".env", extra="ignore")

    fusion: Path | None = Field(None, description="a fusion learned by `khung fusion`; used only if it won")
    reranker: Literal["none", "captions"] = Field(
        "none", description="captions: a second look at the best hits' captions"
    )
    topics: Path | None = Field(None, description="judged topics that each new snapshot is asked: an asset check")


class ContestSettings(BaseSettings):
    """The contest's door. The server is fixed here and never by a browser: khung calls no address a stranger names."""

    model_config = SettingsConfigDict(env_prefix="KHUNG_CONTEST_", env_file=".env", extra="ignore")

    server: str = Field("", description="DRES's address, e.g. https://vbs.example.org; empty: no contest pages")
    rules: Literal["vbs", "aic"] = Field("vbs", description="how a QA answer is written, and whether there is TRAKE")
    collection: str = Field("", description="DRES's name of the media collection, when item names are not unique")
    timeout_s: float = Field(8.0, gt=0, description="how long one request to the server may take")
