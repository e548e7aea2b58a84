"""Every setting of khung, read once from the environment (`KHUNG_…`) or a `.env` file. Units are in the names.

A profile is a choice of stores and models; no other code asks which profile it is. The groups stand in files of their own.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from khung.errors import ConfigError
from khung.settings.kitchen import ExtractionSettings, MediaLimits
from khung.settings.models import DescriberSettings, EmbedderSettings, EncoderSettings, LargeModelSettings
from khung.settings.service import ContestSettings, SearchSettings, ServeSettings
from khung.settings.stores import StoreSettings

__all__ = [
    "ContestSettings",
    "DescriberSettings",
    "EmbedderSettings",
    "EncoderSettings",
    "ExtractionSettings",
    "LargeModelSettings",
    "MediaLimits",
    "SearchSettings",
    "ServeSettings",
    "Settings",
    "StoreSettings",
    "settings",
]


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
    port: int = Field(8000, ge=1, le=65535, description="the same")
    public_url: str = Field(
        "",
        pattern="^(https?://.+)?$",
        description="where people reach the search page, for the links in Dagster and in alerts; empty: http://HOST:PORT",
    )

    media: MediaLimits = Field(default_factory=MediaLimits)
    extraction: ExtractionSettings = Field(default_factory=ExtractionSettings)
    serve: ServeSettings = Field(default_factory=ServeSettings)
    search: SearchSettings = Field(default_factory=SearchSettings)
    contest: ContestSettings = Field(default_factory=ContestSettings)
    stores: StoreSettings = Field(default_factory=StoreSettings)

    @property
    def site(self) -> str:
        """The search page's address as people see it, without a slash at its end."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

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
    """The process's settings, read once. Raises ConfigError that names the variable which is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        raise refused(error) from error
    except SettingsError as error:  # a list that is no JSON
        raise ConfigError(f"A setting cannot be read: {error}.", cure='Lists are JSON, e.g. ["http://a"].') from error


def groups() -> tuple[type[BaseSettings], ...]:
    """The classes that read variables, each with its prefix."""
    return (Settings, *(f.annotation for f in Settings.model_fields.values() if _is_group(f.annotation)))


def variables() -> frozenset[str]:
    """Every name that is read from the environment."""
    return frozenset(
        f"{group.model_config['env_prefix']}{name}".upper()
        for group in groups()
        for name, field in group.model_fields.items()
        if not _is_group(field.annotation)
    )


def refused(error: ValidationError) -> ConfigError:
    """The first value that cannot be, by the name of its variable; what it was is not told where it may be a secret."""
    wrong = error.errors()[0]
    group = next((g for g in groups() if g.__name__ == error.title), Settings)
    name = f"{group.model_config['env_prefix']}{wrong['loc'][0] if wrong['loc'] else ''}".upper()
    value = (
        ""
        if "SecretStr" in str(group.model_fields.get(str(wrong["loc"][0] if wrong["loc"] else "")))
        else f" “{wrong['input']}”"
    )
    return ConfigError(
        f"{name} cannot be{value}: {wrong['msg'][:1].lower()}{wrong['msg'][1:]}.",
        cure="Settings come from the environment and from .env; docs/settings.md has them all.",
    )


def _is_group(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseSettings)
