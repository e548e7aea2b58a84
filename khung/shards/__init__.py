"""The shelf: sealed folders that describe themselves, snapshots of them, and the one pointer to the snapshot in service.

The doors are `writer.seal`, `snapshot.publish` and `snapshot.Snapshot`. How a store keeps its part is khung.stores.
"""
