"""Benchmarks: how fast the server is. They measure and never test.

Beside the peers (`make bench`): `measurements` (which contestant takes part in what), `rows` (the targets), `report`
(docs/performance.md), `arena` (one round), `contestants` (how each one is started), `durable` (publishing), `matching`
(decisions), `idle` (memory), `items` (what is published), `workshop` (what is built), native/ (the load client and the
lower bound, in C), peers/ (the other servers).

`profiles` shows where the time is spent, on the same page. `compare` measures two commits against each other.

Alone, each prints its figures: `burst`, `idle`, `matching`, `collector`, `readers`, `history`, `metrics`; `running`
runs them.
"""
