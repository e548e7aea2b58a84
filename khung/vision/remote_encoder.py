"""A query encoder that is somewhere else: `khung encode-serve` on a machine with a GPU, asked over HTTP.

A GME question costs 0.1 to 1.5 seconds of a CPU and milliseconds of a GPU. The time-outs are short and a server that fails is left
alone for a while, because somebody waits for the answer and the text channels have theirs. The server's side is
`khung.api.encoding`; how servers fail is `endpoints.py`.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from khung.errors import ModelError, VectorSpaceMismatch
from khung.settings import EncoderSettings
from khung.vision import Image
from khung.vision.endpoints import EndpointPolicy, Endpoints, RequestRefused

PATH = "/vectors"
MISMATCH = 409
MOST_PIXELS = 1280 * 28 * 28  # no model of khung sees more of a picture
UNIT_TOLERANCE = 1e-2


class RemoteEncoder:
    """The Embedder of one fingerprint, on servers that each hold it. Nothing is asked before the first question. Thread-safe.

    Raises ModelError when no server answers in time, VectorSpaceMismatch when those that do have another model."""

    def __init__(self, fingerprint: str, held: EncoderSettings) -> None:
        self.fingerprint = fingerprint
        key = held.api_key.get_secret_value()
        self._endpoints = Endpoints(
            held.servers, policy(held.timeout_s), {"authorization": f"Bearer {key}"} if key else {}
        )

    @cached_property
    def dim(self) -> int:
        return int(self.embed_texts(["khung"]).shape[1])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._ask({"texts": list(texts)}, len(texts)) if texts else np.zeros((0, self.dim), np.float32)

    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        files = [base64.b64encode(_png(image)).decode() for image in images]
        return self._ask({"images": files}, len(files)) if files else np.zeros((0, self.dim), np.float32)

    def _ask(self, inputs: Mapping[str, Any], count: int) -> np.ndarray:
        try:
            answer = self._endpoints.post(PATH, {"fingerprint": self.fingerprint, **inputs})
        except RequestRefused as error:
            if error.status != MISMATCH:
                raise
            raise VectorSpaceMismatch(
                f"The encoder server cannot ask vectors of {self.fingerprint}: {error.message}",
                cure="Start `khung encode-serve` with the settings of the pipeline: docs/how-to/gpu.md.",
            ) from error
        return self._checked(answer, count)

    def _checked(self, answer: Mapping[str, Any], count: int) -> np.ndarray:
        """What a server sends is a stranger's: its name, its size and its length are looked at."""
        if (theirs := answer.get("fingerprint")) != self.fingerprint:
            raise VectorSpaceMismatch(f"The encoder server answers with {theirs}, not {self.fingerprint}.")
        try:
            numbers = np.frombuffer(base64.b64decode(str(answer["vectors"]), validate=True), "<f4")
            vectors = numbers.reshape(count, int(answer["dim"])).astype(np.float32)
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(f"The encoder server's answer is no {count} vectors: {error}.") from error
        lengths = np.linalg.norm(vectors, axis=1)
        if not (np.abs(lengths - 1) <= UNIT_TOLERANCE).all():  # NaN is none either
            raise ModelError("The encoder server's vectors are not finite or not of unit length.")
        return vectors


def policy(timeout_s: float) -> EndpointPolicy:
    """Two tries, then the search goes on without; three failures in a row, and a server rests ten seconds."""
    return EndpointPolicy(
        connect_s=min(1.0, timeout_s), request_s=timeout_s, deadline_s=2 * timeout_s, attempts=2, backoff_s=0.05,
        most_backoff_s=0.2, most_retry_after_s=5.0, failures_to_open=3, open_s=10.0,
    )  # fmt: skip


def _png(image: Image) -> bytes:
    """The picture without loss, but no larger than a model looks at it."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(image)
    if (share := (MOST_PIXELS / (picture.width * picture.height)) ** 0.5) < 1:
        size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
        picture = picture.resize(size, Pillow.Resampling.BICUBIC)
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()
