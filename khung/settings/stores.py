"""Where things are kept: on disk, or in services by one switch or an address each."""

from typing import Literal
from urllib.parse import quote

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from khung.errors import ConfigError


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
