"""Every setting of khung, read once from the environment (`KHUNG_…`) or a `.env` file. Units are in the names.

A profile is a choice of stores and models; no other code asks which profile it is.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from khung.errors import ConfigError


class MediaLimits(BaseSettings):
    """What a stranger's file may cost. Beyond a limit the file gets a status and a reason."""

    model_config = SettingsConfigDict(env_prefix="KHUNG_MEDIA_", env_file=".env", extra="ignore")

    max_bytes: int = Field(64 * 2**30, description="of one file")
    max_pixels: int = Field(7680 * 4320, description="of one frame")
    max_streams: int = Field(32, description="pictures, sounds and subtitles in one file")
    max_duration_s: float = Field(6 * 3600, description="of one video")
    memory_bytes: int = Field(3 * 2**30, description="address space of the decoding child")
    cpu_s_per_video_s: float = Field(8.0, description="CPU seconds allowed per second of video, beside a base of 60")
    wall_s_per_video_s: float = Field(
        30.0, description="wall seconds allowed per second of video, beside a base of 120"
    )


class ExtractionSettings(BaseSettings):
    """Shots and keyframes. bench/README.md has the evidence for the defaults."""

    model_config = SettingsConfigDict(env_prefix="KHUNG_EXTRACT_", env_file=".env", extra="ignore")

    transnet_precision: Literal["auto", "exact", "int8"] = Field(
        "auto", description="of TransNetV2; auto: int8 where the processor has VNNI instructions"
    )
    transnet_threshold: float = Field(0.33, description="from which on a frame is a cut, of 1")
    content_threshold: float = Field(27.0, description="of PySceneDetect's ContentDetector")
    adaptive_threshold: float = Field(3.0, description="of its AdaptiveDetector")
    merge_within_s: float = Field(0.5, description="boundaries of two detectors so near are one")
    min_shot_s: float = Field(0.3, description="a shorter shot loses the less certain of its ends")
    min_fps: float = Field(0.5, description="keyframes a second of a still shot")
    max_fps: float = Field(2.0, description="keyframes a second of a busy shot")
    phash_hamming: int = Field(8, description="bits of 64 by which near-duplicates within a shot differ at most")
    decode_workers: int = Field(2, description="videos decoded, or pictures made, at the same time")
    playable_copies: bool = Field(True, description="make a copy that browsers play of what they do not play")
    decoder: Literal["cpu", "nvdec"] = Field(
        "cpu", description="nvdec falls back to the CPU by codec, and where there is no GPU"
    )


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


class LargeModelSettings(BaseSettings):
    """How a large model is held. An empty value is the profile's."""

    folder: Path | None = Field(None, description="weights in a folder of one's own, instead of the pulled ones")
    dtype: Literal["", "bfloat16", "float16", "float32"] = Field("", description="gpu: bfloat16, cpu: float32")
    quantisation: Literal["none", "nf4"] = Field("none", description="nf4: 4 bits, about half the memory")
    attention: Literal["sdpa", "flash_attention_2", "eager"] = Field(
        "sdpa", description="flash_attention_2 on Ampere and newer, if installed"
    )
    device: str = Field("", description="e.g. cuda:1; empty: the first accelerator, or the CPU")
    image_tokens: int = Field(640, ge=16, le=1800, description="most tokens of a frame: quality against time")
    run_in: Literal["here", "devices"] = Field(
        "here", description="this process, or one of its own for each GPU: a device that fails is then started again"
    )


class EmbedderSettings(LargeModelSettings):
    """The vectors. Everything here but device and folder is part of the vector space's fingerprint."""

    model_config = SettingsConfigDict(env_prefix="KHUNG_EMBEDDER_", env_file=".env", extra="ignore")

    name: str = Field("", description="conse, or a name of `khung models list`")
    dim: int = Field(0, ge=0, description="fewer dimensions, of models that can be cut; 0: all")


class DescriberSettings(LargeModelSettings):
    """The sentences and fields."""

    model_config = SettingsConfigDict(env_prefix="KHUNG_DESCRIBER_", env_file=".env", extra="ignore")

    name: str = Field("", description="composed, a name of `khung models list`, or server")
    answer_tokens: int = Field(448, ge=64, description="then an answer is brought to its end")
    servers: tuple[str, ...] = Field(
        (), description="OpenAI-compatible addresses of one model, e.g. http://gpu:8000/v1"
    )
    served_as: str = Field("", description="what the servers call the model")
    revision: str = Field("", description="the commit that the servers were started with")
    api_key: SecretStr = Field(SecretStr(""), description="of the servers, if they want one")


class EncoderSettings(BaseSettings):
    """Questions into vectors on another machine (`khung encode-serve`). Without servers this process does it."""

    model_config = SettingsConfigDict(env_prefix="KHUNG_ENCODER_", env_file=".env", extra="ignore")

    servers: tuple[str, ...] = Field((), description='e.g. ["http://gpu:8100/v1"]: all hold the same models')
    api_key: SecretStr = Field(
        SecretStr(""), description="if set, encode-serve asks for it and whoever searches sends it"
    )
    timeout_s: float = Field(1.5, gt=0, le=2.4, description="of one try; there are two, and the search waits 5 s")


class StoreSettings(BaseSettings):
    """Where things are kept. `profile=services` gives every address that is left empty the one of deploy/compose.yaml on
    `host`; without a profile an empty address means the embedded store below HOME."""

    model_config = SettingsConfigDict(env_prefix="KHUNG_STORES_", env_file=".env", extra="ignore")

    profile: Literal["embedded", "services"] = Field("embedded", description="services: all of them, with one switch")
    host: str = Field("127.0.0.1", description="where the services of the profile are")
    postgres_password: SecretStr = Field(SecretStr(""), description="of the profile's PostgreSQL")
    s3_key: str = Field("", description="of the profile's S3")
    s3_secret: SecretStr = Field(SecretStr(""), description="of the same")

    archive_url: str = Field("", description="s3://KEY:SECRET@HOST/BUCKET, or s3+http:// without TLS")
    postgres_url: str = Field("", description="postgresql://USER:PASSWORD@HOST/DATABASE: ledger, records, pointer")
    postgres_schema: str = Field("khung", description="the schema of khung's tables; one database may hold several")
    redis_url: str = Field("", description="redis://HOST:PORT/0: answers shared by many servers")
    opensearch_url: str = Field("", description="http(s)://[USER:PASSWORD@]HOST:PORT: the captions' index")
    opensearch_prefix: str = Field("khung", description="begins the indexes' names; one cluster may hold several")
    opensearch_replicas: int = Field(0, ge=0, description="copies of each index on other nodes")
    dagster_url: str = Field("", description="postgresql://…: Dagster's own runs and events; empty: SQLite")

    @model_validator(mode="after")
    def _addresses(self) -> "StoreSettings":
        if self.profile == "services":
            for name, address in self._of_profile().items():
                setattr(self, name, getattr(self, name) or address)
        return self

    def _of_profile(self) -> dict[str, str]:
        """The addresses in deploy/compose.yaml. Raises ConfigError when a secret is missing that one of them needs."""
        password, key, secret = (
            quote(value, safe="")
            for value in (self.postgres_password.get_secret_value(), self.s3_key, self.s3_secret.get_secret_value())
        )
        if not (self.postgres_url or password) or not (self.archive_url or (key and secret)):
            raise ConfigError(
                "The services profile needs its secrets.",
                cure="Set KHUNG_STORES_POSTGRES_PASSWORD, KHUNG_STORES_S3_KEY and KHUNG_STORES_S3_SECRET.",
            )
        database = self.postgres_url or f"postgresql://khung:{password}@{self.host}:5432/khung"
        return {
            "archive_url": f"s3+http://{key}:{secret}@{self.host}:8333/khung",
            "postgres_url": database,
            "redis_url": f"redis://{self.host}:6379/0",
            "opensearch_url": f"http://{self.host}:9200",
            "dagster_url": database,
        }


class Settings(BaseSettings):
    """The whole configuration. `Settings()` reads the environment; tests pass values."""

    model_config = SettingsConfigDict(env_prefix="KHUNG_", env_file=".env", extra="ignore")

    profile: Literal["embedded", "cpu", "gpu"] = Field("embedded", description="which models look at frames")
    home: Path = Field(Path(".khung"), description="where the embedded profile keeps everything")
    inbox: Path | None = Field(None, description="the folder that the sensor watches; default HOME/inbox")
    models_dir: Path | None = Field(None, description="fetched model files; default HOME/models")

    embedder: EmbedderSettings = Field(default_factory=EmbedderSettings)
    describer: DescriberSettings = Field(default_factory=DescriberSettings)
    encoder: EncoderSettings = Field(default_factory=EncoderSettings)
    embedded_precision: Literal["int8", "exact"] = Field(
        "int8",
        description="numbers of the image models that come in packages: 8-bit integers, faster where the processor has VNNI, "
        "or float32; vectors and descriptions are made anew after a change",
    )
    reader_name: str = Field("", description="screen-text, describer or both; empty: the profile's")
    fallback_name: str = Field("", description="embedder for frames that the first one fails on; none: no fallback")

    alert_url: SecretStr = Field(
        SecretStr(""), description="told as JSON of failed runs, audits that found something and new snapshots"
    )
    fresh_within_h: float = Field(
        0.0,
        ge=0,
        description="a new snapshot is to come at least so often, or Dagster marks it as overdue; 0: no matter",
    )
    preview_from: int | None = Field(
        None,
        ge=0,
        description="keyframes from which on a new video is first found by a tenth of them; 0: never; "
        "unset: 2000 with the models that come in packages, 200 with larger ones",
    )

    shard_count: int = Field(16, ge=1, le=1024, description="sealed shards of the library; `khung rescale` changes it")
    keep_snapshots: int = Field(3, ge=1, description="that can be rolled back to; a collection takes the others")

    host: str = Field("127.0.0.1", description="where `khung serve` listens")
    port: int = Field(8000, description="the same")

    media: MediaLimits = Field(default_factory=MediaLimits)
    extraction: ExtractionSettings = Field(default_factory=ExtractionSettings)
    serve: ServeSettings = Field(default_factory=ServeSettings)
    search: SearchSettings = Field(default_factory=SearchSettings)
    contest: ContestSettings = Field(default_factory=ContestSettings)
    stores: StoreSettings = Field(default_factory=StoreSettings)

    @property
    def inbox_dir(self) -> Path:
        return self.inbox or self.home / "inbox"

    @property
    def models_path(self) -> Path:
        return self.models_dir or self.home / "models"

    @property
    def archive_dir(self) -> Path:
        return self.home / "archive"

    @property
    def ledger_path(self) -> Path:
        return self.home / "ledger.sqlite"

    @property
    def turn_path(self) -> Path:
        """The lock of whoever works through the library alone: `khung ingest`, erasing, rescaling. The sensors heed it."""
        return self.home / "ingest.lock"

    @property
    def contest_path(self) -> Path:
        """The team's answer list and the operators' sessions."""
        return self.home / "contest.sqlite"

    @property
    def keys_path(self) -> Path:
        """The hashes of the API keys."""
        return self.serve.keys_file or self.home / "keys.json"

    @property
    def secret_path(self) -> Path:
        """What signs cursors and logins, when the settings name no secret."""
        return self.home / "secret.key"

    @property
    def shelf_dir(self) -> Path:
        """Sealed shards, snapshots and the pointer."""
        return self.home / "shelf"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
