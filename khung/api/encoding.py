"""A service that does one thing: questions into vectors, on the machine that has the GPU (`khung encode-serve`).

One route for `khung.vision.remote_encoder`, health and metrics. It holds no library and knows no snapshot: whoever asks names the
fingerprint of the vectors that are to be searched.
"""

import base64
import contextlib
import hmac
from collections.abc import AsyncIterator
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

import khung
from khung.api import problems, routes
from khung.api.desk import Desk
from khung.api.images import decoded
from khung.api.routes import system
from khung.errors import ConfigError, ModelFileMissing, QueryError, VectorSpaceMismatch
from khung.search.encoders import QueryEncoders
from khung.settings import Settings
from khung.vision.remote_encoder import MISMATCH, PATH

MODELS = 2  # at the same time: the library's, and the next one's while it is published
BODY = 2**25

Text = Annotated[str, Field(max_length=4000)]
Picture = Annotated[str, Field(max_length=BODY, description="a PNG, JPEG or WebP file in base64")]


class EncodeIn(BaseModel):
    """Texts or pictures, and the model that the vectors are wanted of."""

    model_config = ConfigDict(extra="forbid")

    fingerprint: str = Field(max_length=400)
    texts: list[Text] = Field(default_factory=list, max_length=64)
    images: list[Picture] = Field(default_factory=list, max_length=8)


class EncodeOut(BaseModel):
    """`vectors`: little-endian float32 in base64, row after row; the texts' before the pictures'."""

    fingerprint: str
    dim: int
    vectors: str


router = APIRouter(tags=["encoder"])


def _allowed(request: Request, authorization: Annotated[str, Header()] = "") -> None:
    key = request.app.state.settings.encoder.api_key.get_secret_value()
    if key and not hmac.compare_digest(authorization.encode(), f"Bearer {key}".encode()):
        raise HTTPException(401, "The key of this encoder is another one: KHUNG_ENCODER_API_KEY.")


@router.post(f"/v1{PATH}", dependencies=[Depends(_allowed)])
async def vectors(request: Request, asked: EncodeIn) -> EncodeOut:
    """Unit vectors of questions. 409 when this machine has no such model, 503 with Retry-After when too many ask."""
    state = request.app.state

    def answer() -> EncodeOut:
        try:
            encoder = state.encoders.of(asked.fingerprint)
        except (VectorSpaceMismatch, ModelFileMissing, ConfigError) as error:
            raise HTTPException(MISMATCH, str(error)) from error
        rows = [encoder.embed_texts(asked.texts)] if asked.texts else []
        rows += [encoder.embed_images([_pixels(p, state.settings) for p in asked.images])] if asked.images else []
        found = np.concatenate(rows) if rows else np.zeros((0, encoder.dim), np.float32)
        numbers = base64.b64encode(found.astype("<f4").tobytes()).decode()
        return EncodeOut(fingerprint=encoder.fingerprint, dim=found.shape[1], vectors=numbers)

    return await state.desk.ask(asked.model_dump_json(), answer, keep=lambda _: False)


def _pixels(picture: str, settings: Settings) -> np.ndarray:
    """Raises QueryError for what is not base64, MediaError for what is no picture, or too large a one."""
    try:
        data = base64.b64decode(picture, validate=True)
    except ValueError as error:
        raise QueryError("That is no picture.", cure="Send PNG, JPEG or WebP in base64.") from error
    return np.asarray(decoded(data, settings.serve.max_image_pixels))


def create_encoder(settings: Settings, encoders: QueryEncoders | None = None) -> FastAPI:
    """The ASGI application. Models are loaded when they are first asked for; `encoders` may hold some already."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.desk.close()

    app = FastAPI(
        title="khung encoder",
        version=khung.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    here = settings.encoder.model_copy(update={"servers": ()})  # it does not ask another one
    app.state.settings = settings.model_copy(update={"encoder": here})
    app.state.encoders = encoders or QueryEncoders(app.state.settings, most=MODELS)
    app.state.desk = Desk(settings.serve)
    problems.install(app)
    app.include_router(router, max_body_size=BODY)
    app.add_api_route("/health", system.health)
    app.add_api_route("/metrics", system.metrics)
    routes.build(app)
    return app
