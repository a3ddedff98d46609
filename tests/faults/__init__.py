"""Faults provoked for real, each held against what an oracle says should have happened.

A short form runs with all other tests; `make faults` runs the long one. Each prints its line: what was published, said
yes to and received, what was lost, doubled or out of order, and how often its fault took place.
"""
