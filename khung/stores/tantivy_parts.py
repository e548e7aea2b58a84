"""The files of tantivy indexes: parts are written, opened together, and gathered into one segment. Asking them is text_tantivy.py.

Sealed parts are never merged: their segment files are linked side by side under one `meta.json`, so that one query counts and ranks
over the whole. A process that answers many questions gathers them into a copy of its own (docs/decisions/0082).
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from khung.errors import CorruptError, StoreError
from khung.stores.scratch import scratch_folder
from khung.text.fields import FACETS, FIELDS

log = logging.getLogger("khung.stores")

ID = "vector_id"
_META = "meta.json"
_MAX_HEAP, _MIN_HEAP = 2_000_000_000, 20_000_000
_BY_ID = {"sort_by_field": {"field": ID, "order": "Asc"}}


def schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_integer_field(ID, stored=True, indexed=True, fast=True)
    for name in FIELDS:
        builder.add_text_field(name, stored=True, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field(FACETS, tokenizer_name="raw", index_option="basic")
    return builder.build()


def write_part(folder: Path, documents: Iterable[tuple[int, Mapping[str, str]]]) -> int:
    """Write one part into an empty folder from `(vector id, field → words)`; returns the number of documents.

    Documents are laid down by id in one segment, so that equal scores come out by id.
    """
    import tantivy

    rows = sorted(documents)
    size = sum(len(words) for _, fields in rows for words in fields.values())
    try:
        index = tantivy.Index(schema(), path=str(folder))
        writer = index.writer(max(_MIN_HEAP, min(_MAX_HEAP, 20 * size)), num_threads=1)
        for vector_id, fields in rows:
            writer.add_document(_document(vector_id, fields))
        writer.commit()
        writer.wait_merging_threads()
    except (ValueError, OSError) as error:  # tantivy tells a refused write by either
        raise StoreError(
            f"The text index in {folder} could not be written: {error}", cure="Is the disk full?"
        ) from error
    return len(rows)


def _document(vector_id: int, fields: Mapping[str, str]) -> Any:
    import tantivy

    document = tantivy.Document()
    document.add_integer(ID, vector_id)
    for name in FIELDS:
        if words := fields.get(name):
            document.add_text(name, words)
    for value in fields.get(FACETS, "").splitlines():
        document.add_text(FACETS, value)
    return document


def opened(folders: Sequence[Path]) -> Any:
    """One tantivy index with every part's segments. Its folder of links is gone when this returns: the files are mapped by then.
    Raises CorruptError."""
    import tantivy

    if not folders:
        return tantivy.Index(schema())
    with scratch_folder("text") as together:
        _lay_together(folders, together, {})
        try:
            return _open(together)
        except (ValueError, OSError) as error:
            where = folders[0] if len(folders) == 1 else f"{folders[0].parent.parent} and its sisters"
            raise CorruptError(f"The text index in {where} cannot be opened: {error}") from error


def gathered(folders: Sequence[Path]) -> Any | None:
    """The same documents by id in as few segments as tantivy makes of them, most often one: in files without a name, which go with the
    process. None when they cannot be had, which the log tells: the parts answer the same, slower.

    Takes about two seconds of CPU for 100,000 documents, and as much space in the temporary folder as the parts have on disk.
    """
    import tantivy

    try:
        with scratch_folder("text") as together:
            _lay_together(folders, together, _BY_ID)
            writer = tantivy.Index.open(str(together)).writer(_MIN_HEAP, num_threads=1)
            writer.commit()  # a commit of nothing looks for segments to merge
            writer.wait_merging_threads()
            return _open(together)
    except (ValueError, OSError, CorruptError) as error:
        log.warning("text_not_gathered", extra={"reason": str(error)})
        return None


def _open(folder: Path) -> Any:
    import tantivy

    index = tantivy.Index.open(str(folder))
    index.config_reader("manual")  # sealed: nothing to watch for
    index.searcher()
    return index


def _lay_together(folders: Sequence[Path], together: Path, settings: Mapping[str, Any]) -> None:
    """Links to every part's segments in `together`, under one meta."""
    metas = [_linked(folder, together) for folder in folders]
    if any(meta["schema"] != metas[0]["schema"] for meta in metas):
        raise CorruptError("The text indexes have different fields.", cure="Seal all shards again.")
    segments = [segment for meta in metas for segment in meta["segments"]]
    of_index = dict(metas[0].get("index_settings", {})) | settings
    (together / _META).write_text(json.dumps(metas[0] | {"segments": segments, "index_settings": of_index}))


def _linked(folder: Path, together: Path) -> dict[str, Any]:
    """Link a part's segment files into `together`; its meta."""
    try:
        meta = json.loads((folder / _META).read_bytes())
        names = [segment["segment_id"].replace("-", "") for segment in meta["segments"]]
        if not isinstance(meta["schema"], list):
            raise ValueError("its schema is no list")
        for path in folder.resolve().iterdir():
            if path.name.split(".")[0] in names:
                (together / path.name).symlink_to(path)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CorruptError(f"The text index in {folder} cannot be opened: {error}") from error
    return meta
