"""Model folders of the true shapes' kind, a few megabytes, randomly initialised: what `save_pretrained` writes, so that tests
load them through the production loaders. Weights are scaled up, or all vectors would look alike."""

from pathlib import Path

import numpy as np

from khung.vision.checkpoint import Checkpoint
from khung.vision.vlm_schema import prompt, schema

SENTENCES = [
    "Một người đàn ông mặc áo đỏ đang lái xe buổi sáng trên đường phố Hà Nội.",
    "Hai em bé chơi bóng trong công viên, trời nắng.",
    "A man in a red shirt is driving a car in the morning on a Hanoi street.",
    "Find an image that matches the given text. You are a helpful assistant.",
    '{"caption": {"vi": "Cảnh chợ nổi", "en": "A floating market"}, "text_in_image": ["THỜI SỰ"]}',
]
MARKS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
SCALE = 6.0


def gme(folder: Path) -> Path:
    """Qwen2-VL as GME ships it: no head."""
    from transformers import Qwen2VLModel

    return _save(folder, Qwen2VLModel, _qwen2vl_config(), _patches(14))


def qwen2vl_with_head(folder: Path) -> Path:
    from transformers import Qwen2VLForConditionalGeneration

    return _save(folder, Qwen2VLForConditionalGeneration, _qwen2vl_config(), _patches(14))


def qwen3vl(folder: Path) -> Path:
    """Qwen3-VL with its head, as Qwen3-VL-Embedding and Qwen3-VL-Instruct ship it."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    text = _text_config(head_dim=32, rope_parameters=_rope([6, 5, 5]) | {"mrope_interleaved": True})
    vision = dict(depth=3, hidden_size=64, intermediate_size=128, num_heads=4, out_hidden_size=128, patch_size=16,
                  num_position_embeddings=256, deepstack_visual_indexes=[0, 1])  # fmt: skip
    config = Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **_ids(tokens()))
    return _save(folder, Qwen3VLForConditionalGeneration, config, _patches(16))


def qwen25vl(folder: Path) -> Path:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    vision = dict(depth=2, hidden_size=64, intermediate_size=128, num_heads=4, out_hidden_size=128,
                  fullatt_block_indexes=[1], window_size=56)  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config=_text_config(rope_parameters=_rope([4, 6, 6])), vision_config=vision, **_ids(tokens())
    )
    return _save(folder, Qwen2_5_VLForConditionalGeneration, config, _patches(14))


def siglip2(folder: Path) -> Path:
    """SigLIP 2 of fixed resolution: the SigLIP classes with a Gemma-like tokenizer."""
    from transformers import SiglipConfig, SiglipModel
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    side = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
    tokenizer = siglip_tokenizer()
    config = SiglipConfig(
        text_config=dict(side, vocab_size=len(tokenizer), projection_size=64, max_position_embeddings=64,
                         pad_token_id=0, eos_token_id=1, bos_token_id=2),
        vision_config=dict(side, image_size=64, patch_size=16),
    )  # fmt: skip
    processor = SiglipImageProcessorPil(size={"height": 64, "width": 64})
    return _save(folder, SiglipModel, config, processor, tokenizer)


def checkpoint(folder: Path, name: str = "tiny", **options) -> Checkpoint:
    return Checkpoint(name, folder, **({"dtype": "float32", "device": "cpu"} | options))


def picture(seed: int, width: int = 96, height: int = 64) -> np.ndarray:
    """Smooth random colours: a picture with structure that survives scaling."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    from PIL import Image

    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def tokens():
    """A byte-level BPE with Qwen's marks: every byte is a token, as in the real one."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [*SENTENCES, prompt(), str(schema())],
        trainers.BpeTrainer(vocab_size=3000, special_tokens=MARKS, initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=MARKS[1:],
    )


def siglip_tokenizer():
    from transformers import Siglip2Tokenizer

    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = sorted({c for s in SENTENCES for c in s.lower().replace(" ", "▁")})
    words = specials + [f"<0x{byte:02X}>" for byte in range(256)] + letters
    tokenizer = Siglip2Tokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[])
    return tokenizer


def _qwen2vl_config():
    from transformers import Qwen2VLConfig

    vision = dict(depth=2, embed_dim=64, num_heads=4, hidden_size=128, mlp_ratio=2)
    return Qwen2VLConfig(
        text_config=_text_config(rope_parameters=_rope([4, 6, 6])), vision_config=vision, **_ids(tokens())
    )


def _text_config(**more) -> dict:
    return dict(
        vocab_size=3072, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=0, eos_token_id=2, pad_token_id=0, **more
    )  # fmt: skip


def _rope(sections: list[int]) -> dict:
    return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections}


def _ids(tokenizer) -> dict:
    marks = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    marks |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    return {name: tokenizer.convert_tokens_to_ids(mark) for name, mark in marks.items()}


def _patches(patch_size: int):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(patch_size=patch_size, temporal_patch_size=2, merge_size=2)


def _save(folder: Path, model_class, config, processor, tokenizer=None) -> Path:
    import torch

    torch.manual_seed(7)
    model = model_class(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim >= 2:
                weight.mul_(SCALE)
            elif name.endswith("bias"):
                weight.normal_(0, 0.1)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (tokenizer or tokens()).save_pretrained(folder)
    return folder
