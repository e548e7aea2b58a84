"""CHORES: what makes no new asset. One chore a file; jobs that string them together are orchestration's."""
