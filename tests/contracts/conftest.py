"""Fixtures that contract suites share with the rooms whose implementations they hold."""

from tests.vision.conftest import tiny

__all__ = ["tiny"]
