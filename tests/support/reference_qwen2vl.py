"""Qwen2-VL's forward written out from its description (Wang et al. 2024) over the raw tensors of a checkpoint: no transformers,
no batch, no padding, no cache. What the production path is compared with."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
STD = np.array([0.26862954, 0.26130258, 0.27577711])


class Reference:
    """One checkpoint folder; `vector` is GME's embedding of a prompt and at most one image."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file

        self.w = load_file(folder / "model.safetensors")
        config = json.loads((folder / "config.json").read_text())
        self.text, self.vision = config["text_config"], config["vision_config"]
        self.image_id = config["image_token_id"]

    def vector(self, ids: list[int], patches: np.ndarray | None = None, grid: tuple[int, int] = (0, 0)) -> np.ndarray:
        """`ids` with the image's places repeated; `patches` (n, values) in merge order; `grid` rows and columns."""
        x = self["embed_tokens.weight"][torch.tensor(ids)]
        if patches is not None:
            x[torch.tensor(ids) == self.image_id] = self.see(torch.tensor(patches), grid)
        state = self.read(x)[-1]
        return (state / state.norm()).numpy()

    def __getitem__(self, name: str) -> Tensor:
        return self.w[name if name in self.w else f"language_model.{name}"]

    # -- the vision tower

    def see(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        x = patches @ self.w["visual.patch_embed.proj.weight"].flatten(1).T
        angles = self._angles(grid)
        for layer in range(self.vision["depth"]):
            p = f"visual.blocks.{layer}."
            x = x + self._look(self._norm(x, p + "norm1"), p + "attn.", angles)
            inner = self._linear(self._norm(x, p + "norm2"), p + "mlp.fc1")
            x = x + self._linear(inner * torch.sigmoid(1.702 * inner), p + "mlp.fc2")
        x = self._norm(x, "visual.merger.ln_q").reshape(len(x) // 4, -1)
        x = torch.nn.functional.gelu(self._linear(x, "visual.merger.mlp.0"))
        return self._linear(x, "visual.merger.mlp.2")

    def _angles(self, grid: tuple[int, int]) -> Tensor:
        """Rows and columns of the patches in merge order (2 × 2 blocks), as rotation angles (patches, head / 2)."""
        rows, columns = np.meshgrid(*map(np.arange, grid), indexing="ij")
        order = [a.reshape(grid[0] // 2, 2, grid[1] // 2, 2).swapaxes(1, 2).ravel() for a in (rows, columns)]
        half = self.vision["embed_dim"] // self.vision["num_heads"] // 2
        frequency = 1.0 / 10000.0 ** (np.arange(0, half, 2) / half)
        return torch.tensor(np.hstack([np.outer(o, frequency) for o in order]), dtype=torch.float32)

    def _look(self, x: Tensor, p: str, angles: Tensor) -> Tensor:
        heads = self.vision["num_heads"]
        q, k, v = (part.reshape(len(x), heads, -1).transpose(0, 1) for part in self._linear(x, p + "qkv").chunk(3, -1))
        q, k = turn(q, angles), turn(k, angles)
        weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
        return self._linear((weights @ v).transpose(0, 1).reshape(len(x), -1), p + "proj")

    # -- the language model

    def read(self, x: Tensor) -> Tensor:
        heads, kv = self.text["num_attention_heads"], self.text["num_key_value_heads"]
        size = self.text["hidden_size"] // heads
        frequency = 1.0 / self.text["rope_parameters"]["rope_theta"] ** (torch.arange(0, size, 2) / size)
        angles = torch.outer(torch.arange(len(x)), frequency)  # sequential on every axis
        future = torch.ones(len(x), len(x)).triu(1).bool()
        for layer in range(self.text["num_hidden_layers"]):
            p = f"layers.{layer}."
            h = self._rms(x, p + "input_layernorm.weight")
            q, k, v = (
                (h @ self[f"{p}self_attn.{n}_proj.weight"].T + self[f"{p}self_attn.{n}_proj.bias"])
                .reshape(len(x), count, size)
                .transpose(0, 1)
                for n, count in (("q", heads), ("k", kv), ("v", kv))
            )
            q, k, v = (
                turn(q, angles),
                turn(k, angles).repeat_interleave(heads // kv, 0),
                v.repeat_interleave(heads // kv, 0),
            )
            weights = (q @ k.transpose(1, 2) / size**0.5).masked_fill(future, -torch.inf).softmax(-1)
            x = x + (weights @ v).transpose(0, 1).reshape(len(x), -1) @ self[p + "self_attn.o_proj.weight"].T
            h = self._rms(x, p + "post_attention_layernorm.weight")
            gate = torch.nn.functional.silu(h @ self[p + "mlp.gate_proj.weight"].T)
            x = x + (gate * (h @ self[p + "mlp.up_proj.weight"].T)) @ self[p + "mlp.down_proj.weight"].T
        return self._rms(x, "norm.weight")

    def _rms(self, x: Tensor, name: str) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.text["rms_norm_eps"]) * self[name]

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return torch.nn.functional.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"], 1e-6)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]


def turn(x: Tensor, angles: Tensor) -> Tensor:
    """Rotary embedding over the two halves of the last axis; `angles` (length, half)."""
    first, second = x.chunk(2, -1)
    return torch.cat([first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], -1)


def patches_of(image: np.ndarray, size: int = 14) -> tuple[np.ndarray, tuple[int, int]]:
    """`(n, 3·2·size·size)` float32 in merge order, and rows and columns. The image's sides are multiples of 2·size."""
    rows, columns = image.shape[0] // size, image.shape[1] // size
    values = ((image / 255.0 - MEAN) / STD).transpose(2, 0, 1)
    out = []
    for block_row in range(0, rows, 2):
        for block_column in range(0, columns, 2):
            for row in (block_row, block_row + 1):
                for column in (block_column, block_column + 1):
                    patch = values[:, row * size : (row + 1) * size, column * size : (column + 1) * size]
                    out.append(np.stack([patch, patch], 1).ravel())  # a still is a film of two equal frames
    return np.array(out, np.float32), (rows, columns)
