"""What the embedded models find, and what 8 bits change: 26 questions in each language over the clips at hand. Part of bench.vision.

The reference for finding is ConSE as published (ten classes, probabilities as they are, no objects).
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from khung.records import Region
from khung.vision import files
from khung.vision import objects as detection
from khung.vision.conse import ConseEmbedder
from khung.vision.e5 import E5
from khung.vision.eight_bits import Precision
from khung.vision.embedded import Embedded
from khung.vision.vocabulary import image_classes, objects

HERE = Path(__file__).parent
CLIPS = HERE.parent / "tests" / "data"
EXTRA = Path(os.environ.get("KHUNG_TEST_CLIPS") or HERE.parent.parent / "shared" / "videos")

QUESTIONS = (  # clip, Vietnamese, English
    ("cockatoo_cc0.mp4", "con vẹt", "a parrot"),
    ("cockatoo_cc0.mp4", "con chim", "a bird"),
    ("cockatoo_cc0.mp4", "vẹt mào trắng", "white cockatoo"),
    ("nasa_13013.mp4", "tàu vũ trụ", "spacecraft"),
    ("nasa_13013.mp4", "kỹ sư trong nhà xưởng", "an engineer in a hangar"),
    ("googlework_short.mp4", "xe buýt trên phố", "a bus in the street"),
    ("googlework_short.mp4", "làm việc với máy tính trong văn phòng", "working at a computer in an office"),
    ("basketball_360p.mp4", "chơi bóng rổ", "people playing basketball"),
    ("basketball_360p.mp4", "quả bóng rổ", "basketball"),
    ("bbb_30s_1080p.mp4", "phim hoạt hình con thỏ", "cartoon rabbit in a meadow"),
    ("bbb_30s_1080p.mp4", "con thỏ", "rabbit"),
    ("city_aerial_dissolve_1080p.mp4", "thành phố nhìn từ trên cao", "city from above"),
    ("city_aerial_dissolve_1080p.mp4", "tòa nhà cao tầng", "tall buildings"),
    ("city_night_cc0.mpg", "thành phố ban đêm", "city at night"),
    ("intel_car_detection.mp4", "bãi đỗ xe nhìn từ trên cao", "cars in a parking lot"),
    ("intel_one_by_one_person.mp4", "người đi trong hành lang", "person walking in a corridor"),
    ("lecture_slides_vfr.mov", "slide bài giảng", "lecture slides on a screen"),
    ("lecture_slides_vfr.mov", "trang web", "a web page"),
    ("pedestrians_vtest.avi", "người đi bộ trên phố", "pedestrians on the street"),
    ("pedestrians_vtest.avi", "đám đông", "crowd of people"),
    ("road_lane_dashcam.mp4", "ô tô chạy trên đường cao tốc", "cars on a highway"),
    ("snowboard_helmetcam.mp4", "trượt tuyết", "snowboarding in the mountains"),
    ("snowboard_helmetcam.mp4", "núi tuyết", "snowy mountain"),
    ("street_bikes.mp4", "xe đạp trên đường phố", "bicycles on the street"),
    ("sintel_trailer_720p.mp4", "chiến binh với thanh kiếm", "a warrior with a sword"),
    ("wanna_work_together.mp4", "hoạt hình", "animation"),
)


def clips() -> dict[str, Path]:
    """Name → path of every clip at hand; the repository's own where both have one."""
    found = {path.name: path for root in (EXTRA, CLIPS) if root.is_dir() for path in sorted(root.iterdir())}
    return {name: path for name, path in found.items() if path.suffix in {".mp4", ".avi", ".mpg", ".mov"}}


def frames_of(path: Path, every_s: float = 2.0, most: int = 21, first_s: float = 0.0) -> list[np.ndarray]:
    import av

    found: list[np.ndarray] = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            if float(frame.time or 0) >= first_s + len(found) * every_s:
                found.append(frame.to_ndarray(format="rgb24"))
            if len(found) == most:
                break
    return found


def finding(models: Path) -> dict[str, dict[str, float]]:
    """Of each question: at which place its clip comes, by its best frame. Means over all questions whose clip is there."""
    folder = clips()
    names = [name for name in dict.fromkeys(clip for clip, *_ in QUESTIONS) if name in folder]
    images = {name: frames_of(folder[name]) for name in names}
    e5 = E5(files.path("e5-small-q4.bin", models))
    kinds = {precision: Embedded(models, precision) for precision in get_args(Precision)}
    seen = {
        precision: {name: (parts._classifier(frames), parts._detector(frames)) for name, frames in images.items()}
        for precision, parts in kinds.items()
    }
    ours = kinds["exact"].embedder
    asked = [row for row in QUESTIONS if row[0] in images]
    published = Published(e5)
    return {
        "clips": {"count": len(names), "frames": sum(map(len, images.values())), "questions": len(asked)},
        **{
            precision: _score({n: ours.embed_recognised(*found[n]) for n in names}, ours.embed_texts, asked)
            for precision, found in seen.items()
        },
        "conse_as_published": _score({n: published(seen["exact"][n][0]) for n in names}, published.ask, asked),
        "int8_against_exact": agreement(seen["exact"], seen["int8"], ours),
    }


Seen = dict[str, tuple[np.ndarray, list[tuple[Region, ...]]]]


def agreement(exact: Seen, eight: Seen, embedder: ConseEmbedder) -> dict[str, float]:
    """How near the 8-bit networks are to the exact ones: first class (of frames where the exact one is at least 0.5 sure, too), boxes at
    IoU 0.5 as F1, vectors as cosines."""
    pairs = [(exact[name], eight[name]) for name in exact]
    one, other = (np.concatenate([pair[k][0] for pair in pairs]) for k in (0, 1))
    same, sure = one.argmax(1) == other.argmax(1), one.max(1) >= 0.5
    cosines = np.concatenate([(embedder.embed_recognised(*a) * embedder.embed_recognised(*b)).sum(1) for a, b in pairs])
    return {
        "frames": len(one),
        "first_class": round(float(same.mean()), 3),
        "first_class_where_sure": round(float(same[sure].mean()), 3),
        "probability_mean_of_largest_difference": round(float(np.abs(one - other).max(1).mean()), 4),
        "boxes_f1": round(boxes_f1([r for a, _ in pairs for r in a[1]], [r for _, b in pairs for r in b[1]]), 3),
        "cosine_min": round(float(cosines.min()), 4),
        "cosine_median": round(float(np.median(cosines)), 4),
    }


def boxes_f1(wanted: Sequence[Sequence[Region]], found: Sequence[Sequence[Region]], iou: float = 0.5) -> float:
    """F1 of the found boxes, the surest first, each against one wanted box of its label."""
    hits = 0
    for one, other in zip(wanted, found, strict=True):
        free = list(one)
        for region in other:
            near = [w for w in free if w.label == region.label]
            overlaps = detection.overlap(np.array([w.box for w in near]), np.array(region.box)) if near else np.zeros(0)
            if len(overlaps) and overlaps.max() >= iou:
                free.remove(near[int(overlaps.argmax())])
                hits += 1
    return 2 * hits / max(1, sum(map(len, wanted)) + sum(map(len, found)))


class Published:
    """Norouzi et al. 2014, T = 10, English labels, centred."""

    def __init__(self, e5: E5) -> None:
        labels = e5.passages([c.en for c in image_classes()] + [t.en for t in objects()])
        self._e5, self._mean = e5, labels.mean(0)
        self._labels = labels[: len(image_classes())] - self._mean

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        top = np.argsort(-probabilities, axis=1)[:, :10]
        rows = np.stack([p[t] @ self._labels[t] for p, t in zip(probabilities, top, strict=True)])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def ask(self, texts: Sequence[str]) -> np.ndarray:
        rows = self._e5.queries(texts) - self._mean
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _score(vectors: dict[str, np.ndarray], ask: Callable, asked: Sequence[tuple[str, str, str]]) -> dict[str, float]:
    result = {}
    for column, language in ((1, "vi"), (2, "en")):
        places = []
        for row, query in zip(asked, ask([row[column] for row in asked]), strict=True):
            best = {name: float((frames @ query).max()) for name, frames in vectors.items()}
            places.append(sum(score > best[row[0]] for score in best.values()) + 1)
        found = np.array(places)
        result |= {
            f"{language}_r1": round(float((found == 1).mean()), 3),
            f"{language}_r3": round(float((found <= 3).mean()), 3),
            f"{language}_mrr": round(float((1 / found).mean()), 3),
        }
    return result
