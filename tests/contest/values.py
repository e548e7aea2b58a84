"""Records that the contest tests speak of."""

from khung.records import Keyframe, Video


def video(video_id: str = "L21_V001", **changes: object) -> Video:
    values = {
        "video_id": video_id,
        "sha256": "0" * 64,
        "source_name": f"{video_id}.mp4",
        "media_key": f"media/{video_id}.mp4",
        "size_bytes": 1,
        "container": "mp4",
        "codec": "h264",
        "width": 320,
        "height": 180,
        "rotation": 0,
        "fps_num": 25,
        "fps_den": 1,
        "vfr": False,
        "frame_count": 10_000,
        "duration_ms": 400_000,
        "has_audio": True,
    }
    return Video(**(values | changes))


def keyframe(video_id: str, frame_index: int) -> Keyframe:
    return Keyframe(video_id, frame_index, frame_index * 40, 0, 0.5, 0.5, 0.5, 0.5, 0)
