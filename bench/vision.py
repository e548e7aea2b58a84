"""The embedded models: frames per second a stage, against the same networks called frame by frame; and what the vectors find.

The reference for speed is OpenVINO's own default (one frame at a time on all cores), in the same run. The reference for
finding is ConSE as published (ten classes, probabilities as they are, no objects). `python -m bench.vision [--frames N]`
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from khung.settings import Settings
from khung.vision import files
from khung.vision.classes import ImageClassifier
from khung.vision.conse import ConseEmbedder
from khung.vision.e5 import E5
from khung.vision.embedded import Embedded
from khung.vision.faces import FaceReader
from khung.vision.load import load_embedder, load_vision
from khung.vision.objects import ObjectDetector
from khung.vision.runtime import Net, cores
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


def frames_of(path: Path, every_s: float = 2.0, most: int = 21) -> list[np.ndarray]:
    import av

    found: list[np.ndarray] = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            if float(frame.time or 0) >= len(found) * every_s:
                found.append(frame.to_ndarray(format="rgb24"))
            if len(found) == most:
                break
    return found


def rate(work: Callable[[], object], count: int) -> dict[str, float]:
    """After one run to warm up: the better of two, by the wall and by the CPU."""
    work()
    best = (float("inf"), float("inf"))
    for _ in range(2):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
    return {"frames_per_s": round(count / best[0], 1), "cpu_ms": round(1000 * best[1] / count, 1)}


def speed(models: Path, images: Sequence[np.ndarray]) -> dict[str, dict[str, dict[str, float]]]:
    """Stage → {as it runs, frame by frame}. Frame by frame: the same code with a network that takes one at a time."""

    def both(make: Callable[[], Callable[[Sequence[np.ndarray]], object]], nets: Sequence[str]) -> dict:
        ours, plain = make(), make()
        for name in nets:
            setattr(plain, name, OneByOne(getattr(plain, name)))
        row = {"khung": rate(lambda: ours(images), len(images))}
        row["frame_by_frame"] = rate(lambda: [plain([image]) for image in images], len(images))
        row["times_faster"] = round(row["khung"]["frames_per_s"] / row["frame_by_frame"]["frames_per_s"], 2)
        return row

    paths = {name: files.path(name, models) for name in files.FILES}
    OneByOne.paths = paths
    detector = ObjectDetector(paths["yolox-nano.onnx"])
    vision = load_vision(Settings(models_dir=models))

    reader = FaceReader(paths["blazeface-short-range.tflite"], paths["fer-emotion.tflite"])
    regions = detector(images)
    plain = Embedded(models)
    for part in (plain.embedder, plain.describer._recogniser):
        part._classifier._net, part._detector._net = OneByOne(part._classifier._net), OneByOne(part._detector._net)

    def against(
        work: Callable[[Sequence[np.ndarray]], object], alone: Callable[[Sequence[np.ndarray]], object]
    ) -> dict:
        row = {"khung": rate(lambda: work(images), len(images))}
        row["frame_by_frame"] = rate(lambda: [alone([image]) for image in images], len(images))
        return row | {"times_faster": round(row["khung"]["frames_per_s"] / row["frame_by_frame"]["frames_per_s"], 2)}

    return {
        "classes": both(lambda: ImageClassifier(paths["efficientnet-lite0.tflite"]), ["_net"]),
        "objects": both(lambda: ObjectDetector(paths["yolox-nano.onnx"]), ["_net"]),
        "faces": {"khung": rate(lambda: reader(images, regions), len(images))},
        "vectors": against(vision.embedder.embed_images, plain.embedder.embed_images),
        "descriptions": against(vision.describer.describe, plain.describer.describe),
        "screen_text": against(vision.reader.read, vision.reader.read),
    }


class OneByOne:
    """A network as OpenVINO runs it when told nothing but the precision: one input after the other, all cores on each."""

    paths: dict[str, Path]

    def __init__(self, wide: "Net | OneByOne") -> None:
        if isinstance(wide, OneByOne):  # embedder and describer share their networks
            self._net = wide._net
            return
        columns = wide._compiled.outputs[0].partial_shape[-1].get_length()
        self._net = Net(
            self.paths["efficientnet-lite0.tflite" if columns == len(image_classes()) else "yolox-nano.onnx"]
        )

    def map(self, inputs: Sequence[np.ndarray]) -> list:
        return [self._net(one) for one in inputs]


def queries(models: Path) -> dict[str, float]:
    """Milliseconds of one query, and of a text in a batch."""
    e5 = E5(files.path("e5-small-q4.bin", models))
    texts = [text for _, *both in QUESTIONS for text in both]
    alone = rate(lambda: [e5.queries([text]) for text in texts], len(texts))
    batch = rate(lambda: e5.queries(texts), len(texts))
    return {"alone_ms": round(1000 / alone["frames_per_s"], 1), "batch_ms": round(1000 / batch["frames_per_s"], 1)}


def finding(models: Path) -> dict[str, dict[str, float]]:
    """Of each question: at which place its clip comes, by its best frame. Means over all questions whose clip is there."""
    folder = {path.name: path for root in (EXTRA, CLIPS) if root.is_dir() for path in root.iterdir()}
    names = [name for name in dict.fromkeys(clip for clip, *_ in QUESTIONS) if name in folder]
    images = {name: frames_of(folder[name]) for name in names}
    classifier = ImageClassifier(files.path("efficientnet-lite0.tflite", models))
    detector = ObjectDetector(files.path("yolox-nano.onnx", models))
    e5 = E5(files.path("e5-small-q4.bin", models))
    ours = load_embedder(Settings(models_dir=models))
    assert isinstance(ours, ConseEmbedder)
    seen = {name: (classifier(frames), detector(frames)) for name, frames in images.items()}
    asked = [row for row in QUESTIONS if row[0] in images]
    published = Published(e5)
    return {
        "clips": {"count": len(names), "frames": sum(map(len, images.values())), "questions": len(asked)},
        "khung": _score({n: ours.embed_recognised(*seen[n]) for n in names}, ours.embed_texts, asked),
        "conse_as_published": _score({n: published(seen[n][0]) for n in names}, published.ask, asked),
    }


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


def table(stages: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = ["| stage | frames/s | CPU ms a frame | frame by frame, frames/s | times faster |", "|---|---|---|---|---|"]
    for name, row in stages.items():
        plain = row.get("frame_by_frame", {}).get("frames_per_s", "–")
        lines.append(
            f"| {name} | {row['khung']['frames_per_s']} | {row['khung']['cpu_ms']} | {plain} | {row.get('times_faster', '–')} |"
        )
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=32)
    count = options.parse_args().frames
    models = Settings().models_path
    images = [
        f
        for name in ("googlework_short.mp4", "cockatoo_cc0.mp4", "nasa_13013.mp4")
        for f in frames_of(CLIPS / name, 1.0)
    ]
    images = (images * (count // len(images) + 1))[:count]
    result = {
        "cores": cores(),
        "frames": len(images),
        "speed": speed(models, images),
        "query": queries(models),
        "finding": finding(models),
    }
    out = HERE / "out" / "vision.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=1, ensure_ascii=False), encoding="utf-8")
    print(json.dumps(result, indent=1, ensure_ascii=False))
    print(table(result["speed"]))


if __name__ == "__main__":
    main()
