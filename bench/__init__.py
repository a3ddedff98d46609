"""How fast we are, measured, never tested.

Beside the peers (`make bench`): `measurements` (who takes part in what), `rows` (what we set out to reach), `report`
(docs/performance.md), `arena` (one round), `contestants` (who is started how), `durable` (publishing), `matching`
(deciding), `idle` (memory), `items` (what is published), `workshop` (what is built), native/ (the load client and the
limit, in C), peers/ (the others).

`profiles` says where the time goes, on the same page.

Alone, each prints its figures: `burst`, `idle`, `matching`, `collector`, `readers`, `history`, `metrics`; `running`
runs them all.
"""
