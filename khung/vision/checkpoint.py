"""Weights on disk and how they become a model in memory: strictly, pinned, without anybody else's code.

A checkpoint is a local folder in the Hugging Face layout. Its revision comes from the note that `khung models pull` leaves beside
the weights; a folder without a note is known by a digest of its contents. What a model computes is in its own file.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from khung.errors import ConfigError, ModelError, ModelFileMissing
from khung.vision import device as devices
from khung.vision import quantisation

NOTE = "khung.json"
"""Left by `khung models pull`: `{"model": hub id, "revision": commit}`."""

SAMPLE_BYTES = 1 << 20  # hashed at the start, the middle and the end of each weight file
WEIGHTS = ("*.safetensors",)
Dtype = Literal["bfloat16", "float16", "float32"]
Attention = Literal["sdpa", "flash_attention_2", "eager"]


@dataclass(frozen=True)
class Checkpoint:
    """Which weights, and how they are held. `name` is the model card's name and begins the fingerprint."""

    name: str
    folder: Path
    dtype: Dtype = "bfloat16"
    quantisation: Literal["none", "nf4"] = "none"
    attention: Attention = "sdpa"
    device: str = ""  # "" = the first accelerator, or the CPU

    def check(self) -> Path:
        """The folder. Raises ModelFileMissing with the cure when it holds no weights."""
        if not (self.folder / "config.json").is_file() or not _weight_files(self.folder):
            raise ModelFileMissing(
                f"The model {self.name} is not in {self.folder}.", cure=f"Run `khung models pull {self.name}`."
            )
        return self.folder

    @cached_property
    def revision(self) -> str:
        """The hub commit that the note names, or `local-` and a digest of the folder."""
        note = self.check() / NOTE
        if note.is_file():
            return str(json.loads(note.read_text(encoding="utf-8"))["revision"])[:40]
        return f"local-{folder_digest(self.folder)[:16]}"

    @property
    def identity(self) -> str:
        """The part of a fingerprint that says which weights compute, and in which numbers."""
        return self.identity_at(self.revision)

    def identity_at(self, revision: str) -> str:
        """The identity that the weights would have at that revision; they need not be there."""
        held = self.dtype if self.quantisation == "none" else f"{self.dtype}-{self.quantisation}"
        return f"{self.name}@{revision}/{held}"


def folder_digest(folder: Path) -> str:
    """SHA-256 over the configuration files, and over each weight file's name, size and three samples: telling apart two
    trainings of one model does not need 15 GB to be read."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".json", ".txt"} and p.name != NOTE):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    for path in _weight_files(folder):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as stream:
            for start in sorted({0, max(0, size // 2 - SAMPLE_BYTES // 2), max(0, size - SAMPLE_BYTES)}):
                stream.seek(start)
                digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()


def load(
    checkpoint: Checkpoint, model_class: Any, *, may_miss: tuple[str, ...] = (), unused: tuple[str, ...] = ()
) -> Any:
    """The model in eval mode on its device. Raises ModelFileMissing, ModelError on any weight that is missing (but
    `may_miss`), left over (but `unused`) or of another shape, ConfigError when the machine cannot hold it so."""
    import torch
    from transformers.utils import logging as progress

    progress.disable_progress_bar()  # a run's log is no terminal
    device = devices.choose(checkpoint.device)
    devices.check_dtype(device, checkpoint.dtype)
    dtype = getattr(torch, checkpoint.dtype)
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": checkpoint.attention}
    if checkpoint.quantisation == "nf4":
        options |= {"quantization_config": quantisation.nf4(dtype), "device_map": {"": device}}
    elif device != "cpu":
        options |= {"device_map": {"": device}}
    try:
        model, report = model_class.from_pretrained(
            checkpoint.check(),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # _strict refuses them, and names them
            **options,
        )
    except (ImportError, ValueError) as error:  # flash attention, bitsandbytes or accelerate is not there
        raise ConfigError(f"{checkpoint.name} cannot be held so: {error}.", cure="See docs/how-to/gpu.md.") from error
    _strict(checkpoint, report, may_miss, unused)
    matmul_patches(model)
    return model.eval()


def _strict(checkpoint: Checkpoint, report: Any, may_miss: tuple[str, ...], unused: tuple[str, ...]) -> None:
    """A missing weight would be random, and the vectors with it: transformers only logs it."""
    wrong = {
        "missing": set(report["missing_keys"]) - set(may_miss),
        "left over": set(report["unexpected_keys"]) - set(unused),
        "of another shape": {str(key) for key in report["mismatched_keys"]},
    }
    said = [f"{len(keys)} weights {what} ({', '.join(sorted(keys)[:3])}…)" for what, keys in wrong.items() if keys]
    if said:
        raise ModelError(
            f"{checkpoint.folder} does not hold the weights of {checkpoint.name}: {'; '.join(said)}.",
            cure=f"Run `khung models check {checkpoint.name}`.",
        )


def matmul_patches(model: Any) -> int:
    """Let every patch embedding (a convolution whose stride is its kernel) compute the matrix product that it is: in
    bfloat16 Conv3d is 10–20× slower on recent torch. Returns how many there were."""
    import torch

    def product(layer: Any):
        def forward(patches: Any) -> Any:
            weight = layer.weight.view(layer.out_channels, -1)
            return torch.nn.functional.linear(patches.reshape(-1, weight.shape[1]).to(weight.dtype), weight, layer.bias)

        return forward

    layers = [
        (module, module.proj)
        for module in model.modules()
        if isinstance(getattr(module, "proj", None), torch.nn.Conv3d) and module.proj.kernel_size == module.proj.stride
    ]
    for module, layer in layers:
        module.forward = product(layer)
    return len(layers)


def tokenizer(checkpoint: Checkpoint) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(checkpoint.check(), local_files_only=True, trust_remote_code=False)


def _weight_files(folder: Path) -> list[Path]:
    return sorted(path for pattern in WEIGHTS for path in folder.glob(pattern))
