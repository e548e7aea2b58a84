"""The ledger: a SQLite file, or PostgreSQL where the settings name a server."""

import dagster as dg

from khung.settings import Settings
from khung.stores import Ledger
from khung.stores.open import open_ledger


class LedgerResource(dg.ConfigurableResource[Ledger]):
    """The state of every video at every stage."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Ledger:
        return open_ledger(self.settings)
