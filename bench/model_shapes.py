"""Checkpoints of the true shapes with random weights: honest for speed and memory, and nothing else.

The shapes are those of the models' published configurations; `parameters` lets them be compared with the model cards.
"""

from pathlib import Path
from typing import Any

_QWEN2_VISION = {"depth": 32, "embed_dim": 1280, "num_heads": 16, "mlp_ratio": 4}
_ROPE = {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [16, 24, 24]}


def _text(hidden: int, inner: int, layers: int, heads: int, kv: int, vocabulary: int, **more: Any) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "vocab_size": vocabulary,
        "rope_parameters": _ROPE,
    } | more


def config(name: str, marks: dict[str, int]) -> tuple[Any, Any]:
    """The model class and its configuration. `marks`: the ids of the image and vision tokens of the tokenizer in use."""
    import transformers as hf

    if name == "gme-2b":
        text, vision = _text(1536, 8960, 28, 12, 2, 151_936), _QWEN2_VISION | {"hidden_size": 1536}
        return hf.Qwen2VLModel, hf.Qwen2VLConfig(text_config=text, vision_config=vision, **marks)
    if name == "gme-7b":
        text, vision = _text(3584, 18944, 28, 28, 4, 152_064), _QWEN2_VISION | {"hidden_size": 3584}
        return hf.Qwen2VLModel, hf.Qwen2VLConfig(text_config=text, vision_config=vision, **marks)
    if name == "qwen2.5-vl-7b":
        vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
                  "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]}  # fmt: skip
        text = _text(3584, 18944, 28, 28, 4, 152_064)
        made = hf.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **marks)
        return hf.Qwen2_5_VLForConditionalGeneration, made
    raise KeyError(name)


def write(folder: Path, name: str, device: str) -> Path:
    """A folder that the production loader takes: random bfloat16 weights, a small tokenizer with Qwen's marks."""
    import torch
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from tests.support.tiny_models import tokens

    tokenizer = tokens()
    model_class, made = config(name, marks_of(tokenizer))
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = model_class(made)
    finally:
        torch.set_default_dtype(before)
    model.save_pretrained(folder)
    Qwen2VLImageProcessorPil().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def marks_of(tokenizer: Any) -> dict[str, int]:
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    names |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    return {key: tokenizer.convert_tokens_to_ids(mark) for key, mark in names.items()}


def parameters(name: str) -> int:
    """Counted on the meta device: no memory is taken."""
    import torch

    model_class, made = config(name, {})
    with torch.device("meta"):
        return sum(weight.numel() for weight in model_class(made).parameters())
