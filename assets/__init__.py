"""WHAT: the partitioned assets and their checks.

An asset reads, computes, writes, tells; computing is one call into khung. When anything runs is orchestration's business.
"""
