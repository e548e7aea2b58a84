"""The library's sequences, to tell a re-encoded copy from a new video; read once a run."""

import dagster as dg

from khung.settings import Settings
from khung.stores.library import Library
from khung.stores.open import open_archive
from khung.video.copies import Copies


class CopiesResource(dg.ConfigurableResource[Copies]):
    """Knows which video a new one was made from."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Copies:
        return Copies(Library(open_archive(self.settings)))
