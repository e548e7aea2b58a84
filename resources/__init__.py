"""WITH WHAT: one adapter a file; each hands out a plain khung object."""
