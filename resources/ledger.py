"""The ledger of the embedded profile: a SQLite file that many processes may use."""

import dagster as dg

from khung.settings import Settings
from khung.stores.ledger_sqlite import SqliteLedger


class LedgerResource(dg.ConfigurableResource[SqliteLedger]):
    """The state of every video at every stage."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> SqliteLedger:
        return SqliteLedger(self.settings.ledger_path)
