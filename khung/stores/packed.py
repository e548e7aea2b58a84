"""A folder of plain files as one zip, and back: what the archive keeps as one object although it is many files."""

import shutil
import stat
import zipfile
from pathlib import Path

from khung.errors import CorruptError


def pack(folder: Path, packed: Path) -> None:
    """The plain files of the folder, by name, as they are: they are JPEGs, which no zip makes smaller."""
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as target:
        for path in sorted(p for p in folder.iterdir() if p.is_file()):
            target.write(path, path.name)


def unpack(packed: Path, folder: Path) -> None:
    """Into the folder, read-only. Raises CorruptError for what is no zip, and for all but plain names: a zip may hold paths that
    lead elsewhere."""
    try:
        with zipfile.ZipFile(packed) as source:
            for info in source.infolist():
                if Path(info.filename).name != info.filename or info.is_dir():
                    raise CorruptError(f"{packed.name} holds the path “{info.filename}”.")
                target = folder / info.filename
                with source.open(info) as data, open(target, "wb") as out:
                    shutil.copyfileobj(data, out)
                target.chmod(stat.S_IRUSR)
    except zipfile.BadZipFile as error:
        raise CorruptError(f"{packed} cannot be read: {error}.", cure="Run the shots stage again.") from error
