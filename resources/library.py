"""The archive with media and per-video files: a local folder, or S3 where the settings name a server."""

import dagster as dg

from khung.settings import Settings
from khung.stores.library import Library
from khung.stores.open import open_archive


class LibraryResource(dg.ConfigurableResource[Library]):
    """Typed access to everything that is kept of a video before it is sealed."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Library:
        return Library(open_archive(self.settings))
