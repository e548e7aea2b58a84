"""multilingual-E5-small from its 4-bit file: text → unit vectors in one space for Vietnamese and English.

Reads the `E5S1` container as data (a header, a SentencePiece unigram vocabulary with its normalisation map, a tensor
directory, Q4_0 blocks) and runs the BERT encoder as an OpenVINO graph. The model: Wang et al., "Multilingual E5 Text Embeddings",
2024 (MIT). What the vectors are used for is `conse.py`'s business.
"""

import struct
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import ModelError
from khung.vision.runtime import Net

MAGIC = b"E5S1"
BLOCK = 32  # weights that share one scale (Q4_0: float16 scale, then 16 bytes of two 4-bit weights)
TOKENS_PER_BATCH = 2048  # bounds the activations: 2048 × 1536 × 4 bytes = 12 MB a layer
_BLOCK_TYPE = np.dtype([("scale", "<f2"), ("pairs", "u1", BLOCK // 2)])


class E5:
    """The text encoder. Thread-safe: it holds only constants."""

    code_version = 1
    dim: int

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        parsed = _read(path)
        self._head = parsed.header
        self.dim = parsed.header.hidden
        self._tokenizer = _tokenizer(parsed)
        self._translation = parsed.normalisation
        self._words = parsed.tensors["emb.word"].view(_BLOCK_TYPE).reshape(-1, self.dim // BLOCK)
        self._positions = parsed.floats("emb.pos").reshape(-1, self.dim) + parsed.floats("emb.type")[: self.dim]
        self._encode = Net(_encoder(parsed), threads=threads)

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """`(n, dim)` float32 of unit length for what a searcher asks."""
        return self._embed([f"query: {text}" for text in texts])

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """`(n, dim)` float32 of unit length for what is to be found."""
        return self._embed([f"passage: {text}" for text in texts])

    def token_ids(self, text: str) -> list[int]:
        """The ids that the encoder sees, `<s>` and `</s>` included; cut to the longest input that it was trained on."""
        clean = unicodedata.normalize("NFC", text).translate(self._translation)
        content = self._tokenizer.encode(" ".join(clean.split()), add_special_tokens=False).ids
        return [self._head.bos, *content[: self._head.positions - 2], self._head.eos]

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        tokens = [self.token_ids(text) for text in texts]
        out = np.empty((len(tokens), self.dim), np.float32)
        for batch in _batches([len(ids) for ids in tokens]):
            out[batch] = self._forward([tokens[i] for i in batch])
        return out

    def _forward(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        """The encoder over one padded batch, then unit length."""
        length = max(map(len, tokens))
        real = np.arange(length) < np.array([len(ids) for ids in tokens])[:, None]
        words = np.zeros((len(tokens), length, self.dim), np.float32)
        words[real] = _dequantise(self._words[[i for ids in tokens for i in ids]])
        (mean,) = self._encode(words + self._positions[:length], real.astype(np.float32))
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)


@dataclass(frozen=True, slots=True)
class _Header:
    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    epsilon: float
    bos: int
    eos: int
    unknown: int


@dataclass(frozen=True, slots=True)
class _Parsed:
    header: _Header
    pieces: list[tuple[str, float]]
    normalisation: dict[int, str]  # code point → what stands for it
    tensors: dict[str, np.ndarray]  # raw bytes of the file

    def floats(self, name: str) -> np.ndarray:
        return self.tensors[name].view("<f4")

    def weights(self, name: str, inputs: int) -> np.ndarray:
        """`(outputs, inputs)` float32."""
        return _dequantise(self.tensors[name].view(_BLOCK_TYPE).reshape(-1, inputs // BLOCK))


def _encoder(parsed: _Parsed) -> Any:
    """The encoder as an OpenVINO graph: `(batch, length, hidden)` word and position vectors and `(batch, length)` 1 for
    a real token → `(batch, hidden)` means over the real tokens. Post-norm BERT (Devlin et al. 2019), erf GELU."""
    from openvino import Model
    from openvino import opset13 as op

    head = parsed.header
    words = op.parameter([-1, -1, head.hidden], np.float32)
    real = op.parameter([-1, -1], np.float32)
    bias = op.multiply(op.unsqueeze(op.unsqueeze(op.subtract(real, _scalar(1)), _index(1)), _index(1)), _scalar(1e9))

    def dense(x: Any, name: str, inputs: int) -> Any:
        weight = op.constant(parsed.weights(f"{name}.w", inputs))
        return op.add(op.matmul(x, weight, False, True), op.constant(parsed.floats(f"{name}.b")))

    def norm(x: Any, name: str) -> Any:
        unit = op.mvn(x, _index(-1), True, head.epsilon, "inside_sqrt")
        return op.add(
            op.multiply(unit, op.constant(parsed.floats(f"{name}.w"))), op.constant(parsed.floats(f"{name}.b"))
        )

    def split(x: Any) -> Any:  # (batch, length, hidden) → (batch, heads, length, hidden / heads)
        apart = op.reshape(x, op.constant([0, 0, head.heads, head.hidden // head.heads]), True)
        return op.transpose(apart, op.constant([0, 2, 1, 3]))

    x = norm(words, "emb.ln")
    for layer in (f"l{i}" for i in range(head.layers)):
        query, key, value = (split(dense(x, f"{layer}.{part}", head.hidden)) for part in "qkv")
        context = op.transpose(op.scaled_dot_product_attention(query, key, value, bias), op.constant([0, 2, 1, 3]))
        attended = dense(op.reshape(context, op.constant([0, 0, head.hidden]), True), f"{layer}.ao", head.hidden)
        x = norm(op.add(x, attended), f"{layer}.aln")
        inner = op.gelu(dense(x, f"{layer}.fi", head.hidden), "erf")
        x = norm(op.add(x, dense(inner, f"{layer}.fo", head.inner)), f"{layer}.oln")
    weight = op.unsqueeze(real, _index(-1))
    mean = op.divide(op.reduce_sum(op.multiply(x, weight), _index(1)), op.reduce_sum(weight, _index(1)))
    return Model([mean], [words, real])


def _scalar(value: float) -> Any:
    from openvino import opset13 as op

    return op.constant(np.float32(value))


def _index(axis: int) -> Any:
    from openvino import opset13 as op

    return op.constant([axis])


def _dequantise(blocks: np.ndarray) -> np.ndarray:
    """Q4_0 blocks `(rows, blocks)` → float32 `(rows, blocks·32)`: low halves first, then high ones, each minus 8."""
    pairs = blocks["pairs"]
    weights = np.concatenate([pairs & 15, pairs >> 4], axis=-1).astype(np.float32) - 8
    return (weights * blocks["scale"][..., None].astype(np.float32)).reshape(len(blocks), -1)


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Positions grouped by like length, each group within TOKENS_PER_BATCH after padding."""
    groups: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not groups or (len(groups[-1]) + 1) * lengths[position] > TOKENS_PER_BATCH:
            groups.append([])
        groups[-1].append(position)
    return groups


def _tokenizer(parsed: _Parsed) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.Unigram(parsed.pieces, unk_id=parsed.header.unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return tokenizer


def _read(path: Path) -> _Parsed:
    """The parts of an `E5S1` file, its tensors memory-mapped. Raises ModelError when it is not one."""
    data = np.memmap(path, np.uint8, mode="r")
    if bytes(data[:4]) != MAGIC:
        raise ModelError(f"{path} is not an E5 model file.", cure="Run `khung models pull`.")
    cursor = _Cursor(data, 8)
    hidden, layers, heads, inner, vocabulary, positions, _, epsilon, block = cursor.take("<7ifi")
    if block != BLOCK:
        raise ModelError(f"{path} has blocks of {block} weights, not {BLOCK}.")
    pieces, bos, eos, _, unknown, letters = cursor.take("<5iQ")
    header = _Header(hidden, layers, heads, inner, vocabulary, positions, epsilon, bos, eos, unknown)
    return _Parsed(header, _pieces(cursor, pieces, letters), _normalisation(cursor), _tensors(cursor, data))


class _Cursor:
    """Reads one value after the other."""

    def __init__(self, data: np.ndarray, at: int) -> None:
        self._data, self._at = data, at

    def take(self, layout: str) -> tuple:
        return struct.unpack(layout, self.bytes(struct.calcsize(layout)))

    def bytes(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at].tobytes()

    def array(self, dtype: str, count: int) -> np.ndarray:
        return np.frombuffer(self.bytes(np.dtype(dtype).itemsize * count), dtype)


def _pieces(cursor: _Cursor, count: int, letters: int) -> list[tuple[str, float]]:
    offsets = cursor.array("<u4", count + 1).tolist()
    scores = cursor.array("<f4", count).tolist()
    blob = cursor.bytes(letters)
    return [(blob[offsets[i] : offsets[i + 1]].decode(), scores[i]) for i in range(count)]


def _normalisation(cursor: _Cursor) -> dict[int, str]:
    count, _ = cursor.take("<iI")
    table = {}
    for _ in range(count):
        point, length = cursor.take("<IB")
        table[point] = "".join(map(chr, cursor.take(f"<{length}I")))
    return table


def _tensors(cursor: _Cursor, data: np.ndarray) -> dict[str, np.ndarray]:
    tensors = {}
    for _ in range(cursor.take("<i")[0]):
        name = cursor.bytes(cursor.take("<H")[0]).decode()
        _, _, offset, size = cursor.take("<BIQQ")
        tensors[name] = data[offset : offset + size]
    return tensors
