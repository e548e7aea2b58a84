"""Weights in 4 bits: which parts of a vision-language model may be quantised, and how. Loading is in `checkpoint.py`.

NF4 with double quantisation (Dettmers et al. 2023, QLoRA). Measured for a 7B Qwen: half the memory in all, not a quarter.
Vectors change, so the fingerprint does; measure recall before it is used for an index.
"""

from typing import Any

KEPT_WHOLE = ("lm_head", "model.visual", "visual")
"""Never quantised: the head, and the vision tower under its name in a full model and in a bare one. The names are prefixes
of module paths from the root: "visual" alone would not match "model.visual" and quantise the tower without a word."""


def nf4(dtype: Any) -> Any:
    """A BitsAndBytesConfig; `dtype` is the torch type that products are computed in."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(KEPT_WHOLE),
    )


def quantised(model: Any) -> list[str]:
    """Names of the modules whose weights are held in 4 bits."""
    from bitsandbytes.nn import Linear4bit

    return [name for name, module in model.named_modules() if isinstance(module, Linear4bit)]
