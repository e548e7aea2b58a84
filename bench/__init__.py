"""Benchmarks: each measures a part of khung against a reference in the same run. `python -m bench` runs all of them."""
