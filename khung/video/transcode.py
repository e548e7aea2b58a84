"""The child's side of a playable copy: every frame of the source encoded again, at its own time. Runs in the sandboxed child only.

The copy's clock begins at the first picture, as khung's does: sound before it is left out. Large pictures are made smaller; a turned
one stays turned by its header. The encoder keeps no frame back (no B-frames), so that times need no edit list.
"""

import heapq
import time
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from khung.errors import MediaError
from khung.video.child import Tell
from khung.video.source import Source, open_source

if TYPE_CHECKING:
    import av

TICK = Fraction(1, 90_000)
MAX_SIDE = 1920
SECONDS_A_KEYFRAME = 2  # a seek decodes no more than so much
SOUND_HZ = 48_000
BEGUN_AGAIN_S = 1  # so far back is no jitter
SMALL_GAP_S = Fraction(1, 10)  # between two pieces of sound: jitter, closed up
REPORT_EVERY_S = 1.0
SOUND_CODECS = frozenset(
    (
        "aac aac_latm ac3 adpcm_ima_qt adpcm_ima_wav adpcm_ms alac amrnb amrwb eac3 flac mp1 mp1float mp2 mp2float mp3 mp3float "
        "opus libopus pcm_alaw pcm_mulaw pcm_s16be pcm_s16le pcm_s24be pcm_s24le pcm_s32le pcm_u8 vorbis wmav1 wmav2"
    ).split()
)
"""Decoders of sound that may run."""

Timed = tuple[Fraction, int, "av.VideoFrame | av.AudioFrame"]  # seconds from the first picture; 0 a picture, 1 sound


def transcode(request: dict, tell: Tell) -> dict:
    """Write the copy to `request["target"]`. Raises MediaError as the source does, and `no_frames`."""
    import av

    path, limits = Path(request["path"]), request["limits"]
    with ExitStack() as stack:
        source = stack.enter_context(open_source(path, request["demuxer"], limits))
        pictures = _pictures(source)
        first = next(pictures, None)
        if first is None:
            raise MediaError("no_frames", "Not one frame could be decoded.", cure="The file may be damaged.")
        out = stack.enter_context(av.open(request["target"], "w", format="mp4", options={"movflags": "+faststart"}))
        copy = Copying(out, source, first[2])
        tracks = [iter([first]), pictures]
        if _sound_of(source):
            other = stack.enter_context(open_source(path, request["demuxer"], limits))
            sounds = _sounds(other, Fraction(first[2].time or 0))
            if begins := next((sound for sound in sounds if sound[0] >= 0), None):  # else a track without a sound
                copy.add_sound()
                tracks.append(chain([begins], sounds))
        _copy(copy, heapq.merge(*tracks, key=lambda timed: timed[:2]), tell)
        silent = bool(source.container.streams.audio) and not copy.heard
    warnings = source.warnings | ({"no_sound_in_copy"} if silent else set())
    cpu_s = round(time.process_time(), 3)
    return {"frames": copy.shown, "sound": copy.heard, "warnings": sorted(warnings), "cpu_s": cpu_s}


def _copy(copy: "Copying", timed: Iterator[Timed], tell: Tell) -> None:
    reported = time.monotonic()
    for seconds, kind, frame in timed:
        copy.hear(seconds, frame) if kind else copy.show(seconds, frame)
        if time.monotonic() - reported >= REPORT_EVERY_S:
            reported = time.monotonic()
            tell({"frames": copy.shown, "pts_ms": int(seconds * 1000)})
    copy.finish()


class Copying:
    """The encoders of one copy. Times come in ascending order."""

    def __init__(self, out: "av.container.OutputContainer", source: Source, first: "av.VideoFrame") -> None:
        rate = source.stream.guessed_rate or Fraction(25)
        self.out, self.shown, self.heard = out, 0, False
        self.size = copy_size(first.width, first.height)
        self.pictures = out.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "23"})
        self.pictures.width, self.pictures.height = self.size
        self.pictures.pix_fmt = "yuv420p"
        if first.rotation:
            self.pictures.set_display_rotation(first.rotation)
        context, like = self.pictures.codec_context, self._fitting(first)
        context.time_base, context.thread_count, context.max_b_frames = TICK, 1, 0
        context.gop_size = max(1, round(rate * SECONDS_A_KEYFRAME) * 2)
        context.color_range, context.colorspace = like.color_range, like.colorspace
        if source.stream.sample_aspect_ratio:
            context.sample_aspect_ratio = source.stream.sample_aspect_ratio
        self.sound: av.AudioStream | None = None
        self._tuned: av.AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._last_tick, self._heard_to, self._key_s = -1, Fraction(0), Fraction(0)

    def add_sound(self) -> None:
        self.sound = self.out.add_stream("aac", rate=SOUND_HZ, layout="stereo")
        self.sound.bit_rate = 128_000

    def show(self, seconds: Fraction, frame: "av.VideoFrame") -> None:
        from av.video.frame import PictureType

        picture = self._fitting(frame)
        self._last_tick = max(round(seconds / TICK), self._last_tick + 1)
        picture.pts, picture.time_base = self._last_tick, TICK
        keyframe = (
            seconds >= self._key_s + SECONDS_A_KEYFRAME
        )  # counted in time: the rate that a file names may be a thousand
        picture.pict_type = PictureType.I if keyframe else PictureType.NONE  # not the source's
        self._key_s = seconds if keyframe or not self.shown else self._key_s
        self.out.mux(self.pictures.encode(picture))
        self.shown += 1

    def hear(self, seconds: Fraction, frame: "av.AudioFrame") -> None:
        if seconds < self._heard_to - SMALL_GAP_S:  # heard already
            return
        begins = self._heard_to if self.heard and seconds - self._heard_to < SMALL_GAP_S else seconds
        frame.pts, frame.time_base = round(begins * frame.sample_rate), Fraction(1, frame.sample_rate)
        self._heard_to = begins + Fraction(frame.samples, frame.sample_rate)
        self._tune_to(frame)
        self._encode(frame)
        self.heard = True

    def _tune_to(self, frame: "av.AudioFrame") -> None:
        """Broadcasts go from stereo to 5.1 and back: a resampler takes only frames of one form."""
        from av import AudioResampler

        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:
            if self._tuned:
                self._encode(None)
            self._form, self._tuned = form, AudioResampler("fltp", "stereo", SOUND_HZ)

    def _encode(self, frame: "av.AudioFrame | None") -> None:
        """None: what the resampler still holds."""
        for piece in self._tuned.resample(frame):
            self.out.mux(self.sound.encode(piece))

    def finish(self) -> None:
        """What the encoders still hold."""
        self.out.mux(self.pictures.encode())
        if self.heard:
            self._encode(None)
            self.out.mux(self.sound.encode())

    def _fitting(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """In the copy's size and format. What was RGB gets the colours that browsers expect of unnamed ones."""
        width, height = self.size
        matrix = "ITU709" if frame.format.is_rgb else None
        return frame.reformat(width, height, "yuv420p", dst_colorspace=matrix, interpolation="AREA")


def copy_size(width: int, height: int) -> tuple[int, int]:
    """Even, as 4:2:0 wants it, and no side above 1920."""
    scale = min(1.0, MAX_SIDE / max(width, height))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def _pictures(source: Source) -> Iterator[Timed]:
    for _, frame in source.frames():
        yield source.clock.seconds, 0, frame


def _sounds(source: Source, begin_s: Fraction) -> Iterator[Timed]:
    """Pieces of sound with times from the first picture on; what is damaged is stepped over. Where the times begin again, as in recordings
    put end to end, they go on, as those of the pictures do."""
    import av

    shift_s, last_s = -begin_s, None
    try:
        for packet in source.container.demux(_sound_of(source)):
            try:
                decoded = packet.decode()
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                continue
            for frame in decoded:
                if frame.pts is None:
                    continue
                at = frame.pts * frame.time_base + shift_s
                if last_s is not None and at < last_s - BEGUN_AGAIN_S:
                    shift_s, at = shift_s + last_s - at, last_s
                last_s = at + Fraction(frame.samples, frame.sample_rate)
                yield at, 1, frame
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        source.warnings.add("truncated_tail")


def _sound_of(source: Source) -> "av.AudioStream | None":
    """The first sound stream, if its decoder may run."""
    streams = source.container.streams.audio
    context = streams[0].codec_context if streams else None
    return streams[0] if context and context.codec.name in SOUND_CODECS else None
