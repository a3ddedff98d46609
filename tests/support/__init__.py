"""What tests share: builders, a hand-set clock, a recording link, a running server, and the oracle.

oracle   what a filter means, written apart from the app: it imports nothing of it
"""
