"""`python -m khung` is `khung`."""

from khung.cli import main

main()
