"""What the pipeline heeds while it looks at files: what a stranger's file may cost, how shots and keyframes are found."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


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
