"""Which models look at frames and questions, and how they are held. What the profiles choose stands in khung.vision.load."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


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
