"""The archive of the embedded profile: a local folder with media and per-video files."""

import dagster as dg

from khung.settings import Settings
from khung.stores.archive_local import LocalArchive
from khung.stores.library import Library


class LibraryResource(dg.ConfigurableResource[Library]):
    """Typed access to everything that is kept of a video before it is sealed."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Library:
        return Library(LocalArchive(self.settings.archive_dir))
