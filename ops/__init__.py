"""CHORES: what makes no new asset."""
