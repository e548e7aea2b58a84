"""The large models: frames an hour against the bare model in the same run, memory, how busy the GPU was, where the time goes.

With a CUDA device: GME-2B and 7B and a 7B describer of the true shapes with random weights, honest for speed. Without: a tiny model on
the CPU, which says only what our own code around a model costs; the rows of the GPU then say "not measured".
`python -m bench.vision_models [--frames N] [--only NAME…]`
"""

import argparse
import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench import model_shapes
from bench.vision_meters import Busy, counting, peak, reset_peak, seconds
from khung.vision import device as devices
from khung.vision.batches import Batches, BatchLimits
from khung.vision.checkpoint import Checkpoint
from khung.vision.gme import GmeTower
from khung.vision.towers import TowerEmbedder, decoded
from khung.vision.vlm import VlmSpeaker

OUT = Path(__file__).parent / "out" / "vision_models.json"
NOT_MEASURED = "not measured"
ANSWER_TOKENS = 200


@dataclass(frozen=True)
class Case:
    """One row. `tokens`: the cap of an image's tokens."""

    what: str  # embed | describe
    model: str
    tokens: int
    dtype: str = "bfloat16"
    quantisation: str = "none"
    attention: str = "sdpa"
    device: str = "cuda:0"


@dataclass(frozen=True)
class Row:
    """What was measured. `bare`: the model's forward (or its own `generate`) over inputs that were ready, same batches."""

    frames_per_hour: int
    bare_frames_per_hour: int
    share_of_bare: float
    peak_gib: float | None
    gpu_busy: float | None  # share of the time with a kernel running, as the driver counts it
    decode_ms: float  # CPU milliseconds of a frame: JPEG to pixels
    prepare_ms: float  # the same: pixels to patches
    forward_ms: float  # of the bare model, by the wall


def cases() -> list[Case]:
    embed = [Case("embed", model, tokens) for model in ("gme-2b", "gme-7b") for tokens in (256, 640, 1196)]
    at_640 = [case for case in embed if case.tokens == 640]
    four_bits = [replace(case, quantisation="nf4") for case in at_640]
    flash = [replace(case, attention="flash_attention_2") for case in at_640]
    describe = [Case("describe", "qwen2.5-vl-7b", 640), Case("describe", "qwen2.5-vl-7b", 640, quantisation="nf4")]
    return [*embed, *four_bits, *flash, *describe]


def tiny_cases() -> list[Case]:
    tiny = Case("embed", "tiny", 256, "float32", device="cpu")
    return [tiny, replace(tiny, tokens=640), replace(tiny, what="describe", tokens=64)]


def pictures(count: int) -> list[bytes]:
    """JPEG files of 1280×720, as the keyframes' masters."""
    from PIL import Image

    from tests.support.tiny_models import picture

    files = []
    for seed in range(count):
        out = io.BytesIO()
        Image.fromarray(picture(seed, 1280, 720)).save(out, "JPEG", quality=90)
        files.append(out.getvalue())
    return files


def measure(case: Case, folder: Path, files: Sequence[bytes]) -> Row:
    weights = Checkpoint(
        case.model,
        folder,
        dtype=case.dtype,
        quantisation=case.quantisation,
        attention=case.attention,
        device=case.device,
    )
    return (embedding if case.what == "embed" else describing)(case, weights, files)


def embedding(case: Case, weights: Checkpoint, files: Sequence[bytes]) -> Row:
    tower = GmeTower(weights, most_tokens=case.tokens)
    embedder = TowerEmbedder(tower)
    list(embedder.stream_images(files[:4]))  # kernels are chosen, the bound of the batches is measured
    list(embedder.stream_images(files))
    reset_peak(case.device)
    with Busy(case.device) as busy:
        whole = seconds(lambda: list(embedder.stream_images(files)))
    memory = peak(case.device)
    some = [decoded(file) for file in files[:8]]
    decode = seconds(lambda: [decoded(file) for file in files[:8]], cpu=True) / len(some)
    prepare = seconds(lambda: [tower.image(image) for image in some], cpu=True) / len(some)
    ready = [tower.image(decoded(file)) for file in files]
    size = at_once(embedder.batches, ready)
    bare = seconds(lambda: [tower.forward(ready[at : at + size]) for at in range(0, len(ready), size)])
    return row(len(files), whole, bare, memory, busy.share, decode, prepare)


def describing(case: Case, weights: Checkpoint, files: Sequence[bytes]) -> Row:
    """Random models write to the limit: about ANSWER_TOKENS tokens each. The bare model writes as many, unguided."""
    speaker = VlmSpeaker(weights, most_tokens=case.tokens, answer_tokens=ANSWER_TOKENS - 90, limits=BatchLimits())
    list(speaker.stream(files[:2]))
    reset_peak(case.device)
    with counting(speaker) as written, Busy(case.device) as busy:
        whole = seconds(lambda: list(speaker.stream(files)))
    memory = peak(case.device)
    some = [decoded(file) for file in files[:8]]
    decode = seconds(lambda: [decoded(file) for file in files[:8]], cpu=True) / len(some)
    prepare = seconds(lambda: [speaker._ask(image) for image in some], cpu=True) / len(some)
    asked = [speaker._ask(file) for file in files]
    size = at_once(speaker.batches, asked)
    steps = max(written)

    def bare() -> None:
        for at in range(0, len(asked), size):
            batch = [item.prepared for item in asked[at : at + size]]
            tensors = speaker._inputs.batch(batch, speaker.device, side="left")
            speaker._model.generate(**tensors, min_new_tokens=steps, max_new_tokens=steps)

    return row(len(files), whole, seconds(bare), memory, busy.share, decode, prepare)


def at_once(batches: Batches, items: Sequence[Any]) -> int:
    """As many items as khung's own batches hold now."""
    return max(1, min(BatchLimits().items, batches.limit // max(item.tokens for item in items)))


def row(
    frames: int, whole: float, bare: float, memory: float | None, busy: float | None, decode: float, prepare: float
) -> Row:
    return Row(
        frames_per_hour=round(3600 * frames / whole),
        bare_frames_per_hour=round(3600 * frames / bare),
        share_of_bare=round(bare / whole, 3),
        peak_gib=memory,
        gpu_busy=busy,
        decode_ms=round(1000 * decode, 1),
        prepare_ms=round(1000 * prepare, 1),
        forward_ms=round(1000 * bare / frames, 2),
    )


def folders(scratch: Path, names: Sequence[str], device: str) -> Iterator[tuple[str, Path]]:
    """One at a time: a 7B takes 16 GB of disk. Made on the device, which is faster, or where it does not fit there, on the CPU."""
    import torch

    from tests.support import tiny_models

    for name in names:
        with tempfile.TemporaryDirectory(dir=scratch) as place:
            if name == "tiny":
                yield name, tiny_models.qwen2vl_with_head(Path(place))
                continue
            try:
                folder = model_shapes.write(Path(place), name, device)
            except torch.OutOfMemoryError:
                folder = None
            devices.release()  # outside the except block, whose traceback holds the half-made model
            yield name, folder or model_shapes.write(Path(place), name, "cpu")


def run(case: Case, folder: Path, files: Sequence[bytes]) -> Row | str:
    """The row, or why there is none: a machine without flash attention, or too small for one model, still measures the rest."""
    import torch

    from khung.errors import KhungError

    try:
        found: Row | str = measure(case, folder, files)
    except KhungError as error:
        found = f"{NOT_MEASURED}: {error.message}"
    except torch.OutOfMemoryError:
        found = f"{NOT_MEASURED}: its weights do not fit into the memory"
    devices.release()  # hooks tie a model into cycles: the next one would find the memory taken
    return found


def table(results: Sequence[tuple[Case, Row | str]]) -> str:
    head = (
        "| | model | tokens | held | attention | frames/h | bare model | share | peak GiB | GPU busy | decode ms | prepare ms "
        "| forward ms |"
    )
    lines = [head, "|" + "---|" * 13]
    for case, found in results:
        held = case.dtype if case.quantisation == "none" else case.quantisation
        cells = [case.what, case.model, case.tokens, held, case.attention]
        if isinstance(found, Row):
            cells += ["–" if value is None else f"{value:,}" for value in asdict(found).values()]
        else:
            cells += [found, *[""] * 7]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=0, help="frames of a row; 0: 256 on a GPU, 16 on a CPU")
    options.add_argument("--only", nargs="*", default=[], help="names of models")
    asked = options.parse_args()
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    gpu = torch.cuda.is_available()
    name = torch.cuda.get_device_name(0) if gpu else "no GPU"
    files = pictures(asked.frames or (256 if gpu else 16))
    wanted = [case for case in (cases() if gpu else tiny_cases()) if not asked.only or case.model in asked.only]
    results: list[tuple[Case, Row | str]] = []
    with tempfile.TemporaryDirectory() as scratch:
        models = list(dict.fromkeys(case.model for case in wanted))
        for model, folder in folders(Path(scratch), models, "cuda" if gpu else "cpu"):
            results += [(case, run(case, folder, files)) for case in wanted if case.model == model]
    if not gpu:
        results += [(case, NOT_MEASURED) for case in cases()]
    print(f"{name}, torch {torch.__version__}, {len(files)} frames of 1280×720\n{table(results)}")
    OUT.parent.mkdir(exist_ok=True)
    rows = [asdict(case) | (asdict(found) if isinstance(found, Row) else {"result": found}) for case, found in results]
    OUT.write_text(
        json.dumps({"device": name, "torch": torch.__version__, "frames": len(files), "rows": rows}, indent=1)
    )


if __name__ == "__main__":
    main()
