"""Descriptions by a server that speaks the OpenAI API (vLLM, SGLang, TGI, …): the contract of `vlm.py`, over the network.

The server binds the answer to the schema; it is checked here all the same. vLLM pins its own torch and transformers, so it is always a
service of its own. How servers fail is in `endpoints.py`, what is asked in `vlm_schema.py`.
"""

import base64
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from khung.errors import ConfigError, ModelError
from khung.vision import Image, vlm_schema
from khung.vision.endpoints import EndpointPolicy, Endpoints
from khung.vision.speaking import Said
from khung.vision.towers import Encoded, ahead, decoded

CODE_VERSION = 1
JPEG_QUALITY = 90
PIXELS_PER_TOKEN = 28 * 28  # of Qwen2-VL and 2.5; Qwen3-VL makes fewer tokens of the same pixels


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What is served. The server does not tell its revision: whoever runs it says it here, for the fingerprint."""

    name: str  # as the server calls it
    revision: str
    most_tokens: int = 640
    answer_tokens: int = 832
    parallel: int = 16  # requests under way; the server makes its own batches
    answers_tried: int = 2  # how often an answer that breaks the schema is asked for again
    schema_by: Literal["response_format", "structured_outputs"] = "response_format"


class _Choice(BaseModel):
    class Message(BaseModel):
        content: str

    class LogProbs(BaseModel):
        class Token(BaseModel):
            logprob: float

        content: list[Token] | None = None

    message: Message
    finish_reason: str | None = None
    logprobs: LogProbs | None = None


class _Completion(BaseModel):
    """As much of the API's answer as is used."""

    choices: list[_Choice]


def fingerprint_of(model: ServedModel) -> str:
    """The speaker's fingerprint; no server is needed to know it."""
    bounds = f"tokens-{model.most_tokens}/answer-{model.answer_tokens}"
    return f"openai:{model.name}@{model.revision}/{bounds}/{vlm_schema.prompt_fingerprint()}/{CODE_VERSION}"


class OpenAiSpeaker:
    """A Speaker over one or several servers of the same model."""

    def __init__(self, endpoints: Endpoints, model: ServedModel) -> None:
        if not model.revision:
            raise ConfigError(
                f"Which revision of {model.name} is served is not known.",
                cure="Set KHUNG_DESCRIBER_REVISION to the commit that the server was started with.",
            )
        self._endpoints, self._model = endpoints, model
        self.fingerprint = fingerprint_of(model)

    def check(self) -> None:
        """Raises ModelError when no server answers, ConfigError when the model is not among those served."""
        listed = self._endpoints.get("/models").get("data")
        names = [str(m.get("id")) for m in listed if isinstance(m, dict)] if isinstance(listed, list) else []
        if self._model.name not in names:
            raise ConfigError(
                f"The server has {', '.join(names) or 'no model'}, not {self._model.name}.",
                cure="Set KHUNG_DESCRIBER_MODEL to a served name.",
            )

    def answers(self, images: Sequence[Image | Encoded]) -> list[Said]:
        return list(self.stream(images))

    def stream(self, images: Iterable[Image | Encoded]) -> Iterator[Said]:
        with ThreadPoolExecutor(self._model.parallel, "describe") as pool:
            yield from ahead(pool, images, self._answer, 2 * self._model.parallel)

    def _answer(self, image: Image | Encoded) -> Said:
        request = self._request(jpeg(decoded(image), self._model.most_tokens))
        for tries_left in reversed(range(self._model.answers_tried)):
            try:
                return _said(self._endpoints.post("/chat/completions", request))
            except _BadAnswer:
                if not tries_left:
                    raise
                request = request | {"temperature": 0.4}  # the same question gets the same answer otherwise
        raise AssertionError("answers_tried is at least 1")

    def _request(self, picture: bytes) -> dict[str, Any]:
        url = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": vlm_schema.prompt()}]
        return {
            "model": self._model.name,
            "messages": [{"role": "system", "content": vlm_schema.SYSTEM}, {"role": "user", "content": content}],
            "temperature": 0.0,
            "max_tokens": self._model.answer_tokens,
            "logprobs": True,
            **self._bound(),
        }

    def _bound(self) -> Mapping[str, Any]:
        schema = vlm_schema.schema()
        if self._model.schema_by == "structured_outputs":  # vLLM's own name for it
            return {"structured_outputs": {"json": schema}}
        return {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "frame", "strict": True, "schema": schema},
            }
        }


class _BadAnswer(ModelError):
    """The server answered, but not what was asked."""


def _said(completion: Mapping[str, Any]) -> Said:
    try:
        choice = _Completion.model_validate(completion).choices[0]
        return Said(vlm_schema.parse(choice.message.content), _confidence(choice))
    except (ValidationError, IndexError) as error:
        raise _BadAnswer("The server's answer is not a chat completion.") from error
    except ModelError as error:
        cut = " It was cut off: raise answer_tokens." if choice.finish_reason == "length" else ""
        raise _BadAnswer(error.message + cut) from error


def _confidence(choice: _Choice) -> float | None:
    """The geometric mean of the tokens' probabilities, or None when the server does not give them."""
    tokens = choice.logprobs.content if choice.logprobs else None
    if not tokens:
        return None
    return min(1.0, math.exp(sum(max(token.logprob, -100.0) for token in tokens) / len(tokens)))


def jpeg(image: Image, most_tokens: int) -> bytes:
    """The image no larger than the model would see it: pixels that it would throw away are not sent."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(image)
    scale = math.sqrt(most_tokens * PIXELS_PER_TOKEN / (picture.width * picture.height))
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Pillow.Resampling.BICUBIC)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def connect(
    urls: Sequence[str], model: ServedModel, *, key: str = "", policy: EndpointPolicy | None = None
) -> OpenAiSpeaker:
    """A Speaker over the servers at `urls`. Nothing is asked yet: see `check`."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return OpenAiSpeaker(Endpoints(tuple(urls), policy or EndpointPolicy(), headers), model)
