"""What was asked, as text: what the keys of its answers, its cursors and its popularity are made from. Written once a request.

Questions that differ only in Unicode form, in what cannot be seen or in spaces are one question. Keys name everything that an answer
depends on, so nothing ever has to be invalidated.
"""

import hashlib
from typing import NamedTuple

import orjson

import khung
from khung.api.schemas import SearchIn
from khung.search.caching import RANKING_VERSION
from khung.text import TEXT_VERSION
from khung.text import clean as visible

_AS_EVER = {name: field.default for name, field in SearchIn.model_fields.items()}
_ASKED = _AS_EVER.keys() - {"cursor", "limit", "offset"}
_VERSIONS = (khung.__version__, TEXT_VERSION, RANKING_VERSION)


class Question(NamedTuple):
    """`text`: the JSON of all that was asked but the page, without what is as ever; then the page."""

    text: str
    limit: int
    offset: int

    @classmethod
    def of(cls, asked: SearchIn) -> "Question":
        """A picture is named by its id, which is made from its bytes."""
        told = {name: getattr(asked, name) for name in sorted(asked.model_fields_set & _ASKED)}
        told = {name: value for name, value in told.items() if value != _AS_EVER[name]}
        if "q" in told:
            told["q"] = _plain(asked.q)
        if "then" in told:
            told["then"] = tuple(map(_plain, asked.then))
        return cls(orjson.dumps(told).decode(), asked.limit, asked.offset)

    def asked(self) -> SearchIn:
        """The question again, in its plain form."""
        return SearchIn.model_validate_json(self.text).model_copy(update={"limit": self.limit, "offset": self.offset})

    def digest(self) -> str:
        """Of all that was asked but the page."""
        return hashlib.blake2b(self.text.encode(), digest_size=12).hexdigest()

    def key(self, *, snapshot_id: str, fingerprint: str, ranking: str = "") -> str:
        """Hex digest of the question with its page, the snapshot, the query encoder, the engine's `ranking`, and the versions of khung,
        text and ranking: the same in every process."""
        parts = (*_VERSIONS, snapshot_id, fingerprint, ranking, *self)
        return hashlib.blake2b(repr(parts).encode(), digest_size=24).hexdigest()


def _plain(text: str) -> str:
    return " ".join(visible(text).split()) if text else text
