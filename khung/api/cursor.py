"""Where a search goes on: a signed token that names the snapshot, the question, the place and who may use it.

A cursor answers from the snapshot it began with for as long as that is kept, so pages neither repeat nor skip a hit when a
new snapshot goes into service.
"""

import time
from dataclasses import dataclass

from khung.api.question import Question
from khung.api.schemas import SearchIn
from khung.api.signing import Forged, Signer
from khung.errors import CursorExpired, CursorRefused

LIFE_S = 24 * 3600
_PURPOSE, _VERSION = "cursor", 2


@dataclass(frozen=True, slots=True)
class Cursor:
    """The next page begins at hit `offset` of the question over `snapshot_id`."""

    snapshot_id: str
    offset: int


def write(signer: Signer, question: Question, cursor: Cursor, owner: str) -> str:
    """`owner`: the id of the key that asked, empty where none is needed."""
    expires = int(time.time()) + LIFE_S
    return signer.seal(_PURPOSE, [_VERSION, cursor.snapshot_id, cursor.offset, question.digest(), owner, expires])


def read(signer: Signer, asked: SearchIn, question: Question, owner: str) -> Cursor:
    """The cursor that came with `asked`, which is `question` in short. Raises CursorRefused, CursorExpired."""
    try:
        version, snapshot_id, offset, digest, whose, expires = signer.open(_PURPOSE, asked.cursor)
    except (Forged, ValueError) as error:
        raise CursorRefused("This cursor was not made here.", cure="Use `next` of an answer as it is.") from error
    if version != _VERSION or whose != owner:
        raise CursorRefused("This cursor belongs to another key.", cure="Ask the first page again with your own key.")
    if digest != question.digest() or asked.offset:
        raise CursorRefused(
            "This cursor belongs to another question.", cure="Send it with the same question, and without offset."
        )
    if expires < time.time():
        raise CursorExpired("This cursor is too old.", cure="Ask the first page again.")
    return Cursor(snapshot_id, offset)
