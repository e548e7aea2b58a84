"""Where an uploaded file stands: from its name in the inbox to the video that it became."""

from collections.abc import Iterator

from khung.api.library import library_video
from khung.api.schemas import UploadStatusOut
from khung.api.service import Service
from khung.errors import NotFound
from khung.stores import LedgerEntry
from khung.stores.ledger_sqlite import suffixed
from khung.stores.sources import get_source
from khung.text.forms import clean
from khung.text.slug import video_id_of

_MOST_SUFFIXES = 100


def uploaded(service: Service, name: str) -> UploadStatusOut:
    """The way of the file `name` of the inbox. Raises NotFound."""
    if found := next((known for known in _candidates(service, name) if known), None):
        video_id, entries = found
        told = library_video(service, video_id, entries)
        return UploadStatusOut(name=name, state=told.state, video_id=video_id, stages=told.stages)
    if name in service.inbox.files():
        return UploadStatusOut(name=name, state="received", video_id="")
    raise NotFound(f"No file {name[:120]} was uploaded.", cure="Use the name that the upload was answered with.")


def waiting(service: Service) -> list[str]:
    """The inbox's files that the ledger does not know yet, by names that people can read."""
    names = {(name := clean(file)): video_id_of(name) for file in service.inbox.files()}
    known = service.ledger.claimed(names.keys() | names.values())
    return [name for name, video_id in names.items() if known.isdisjoint((name, video_id))]


def _candidates(service: Service, name: str) -> Iterator[tuple[str, list[LedgerEntry]] | None]:
    """Videos that bear the file's name as an id, which may have a suffix; None for one that came from another file."""
    plain = video_id_of(name)
    for number in range(1, _MOST_SUFFIXES):
        video_id = plain if number == 1 else suffixed(plain, number)
        if not (entries := list(service.ledger.get(video_id).values())):
            return
        try:
            of_this = get_source(service.library.archive, video_id).name == clean(name)
        except NotFound:
            of_this = True  # linked to another video of the same content: it has no source of its own
        yield (video_id, entries) if of_this else None
