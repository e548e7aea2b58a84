"""WHAT: the partitioned assets and their checks."""
