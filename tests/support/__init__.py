"""What tests share: builders, a test clock, a recording link, a running server, and the oracle.

`oracle` defines what a filter means, written independently of the app: it imports nothing of it.
"""
