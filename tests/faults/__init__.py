"""Real faults, each compared with what an oracle expects.

A short form runs with all other tests; `make faults` runs the long one. Each prints a line: what was published,
accepted and received; what was lost, duplicated or out of order; and how often the fault occurred.
"""
