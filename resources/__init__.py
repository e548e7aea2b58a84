"""WITH WHAT: one adapter a file; each hands out a plain khung object, made when a run first needs it.

Assets, chores and tests see only the plain objects. A profile is a choice made here and in khung, never an `if` in an asset.
"""
