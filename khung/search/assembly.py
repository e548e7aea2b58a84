"""An engine as the settings want it: with the learned fusion and the second look that they name. The one place that decides.

Service, terminal and chores all come here, so that a question has one answer.
"""

import logging
from functools import lru_cache
from pathlib import Path

from khung.errors import KhungError
from khung.search.engine import Engine
from khung.search.learned import LearnedFusion
from khung.search.request import Reranker, SnapshotLike
from khung.search.reranking import CaptionReranker
from khung.search.spaces import EncoderOf
from khung.settings import Settings

log = logging.getLogger("khung.search")


def engine_of(config: Settings, snapshot: SnapshotLike, encoder_of: EncoderOf) -> Engine:
    """A learned fusion or a second look that cannot be had is told in the log and done without: searching goes on as by default."""
    return Engine(
        snapshot,
        encoder_of=encoder_of,
        learned=_learned(config.search.fusion, snapshot.fingerprint),
        reranker=_reranker(config),
    )


def _learned(path: Path | None, space: str) -> LearnedFusion | None:
    if path is None:
        return None
    try:
        learned = LearnedFusion.read(path, space)
    except KhungError as error:
        log.warning("fusion_refused", extra={"reason": str(error)})
        return None
    log.info("fusion_learned", extra={"fusion": learned.fingerprint, "evidence": str(learned.evidence)})
    return learned


def _reranker(config: Settings) -> Reranker | None:
    if config.search.reranker == "none":
        return None
    try:
        return _captions(config.models_path)
    except KhungError as error:
        log.warning("reranker_refused", extra={"reason": str(error)})
        return None


@lru_cache(maxsize=1)
def _captions(models: Path) -> CaptionReranker:
    from khung.vision.e5 import E5
    from khung.vision.embedded import TEXT
    from khung.vision.files import path

    return CaptionReranker(E5(path(TEXT, models)))
