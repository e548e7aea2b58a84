"""The shelf: this machine's folder, or the one that many machines share where the settings name their services."""

import dagster as dg

from khung.settings import Settings
from khung.shards.shelf import Shelf, open_shelf


class ShelfResource(dg.ConfigurableResource[Shelf]):
    """Where sealed shards are kept and snapshots put into service."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Shelf:
        return open_shelf(self.settings)
