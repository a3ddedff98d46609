"""The journeys, one module each. They know ports, core and telemetry; they never see aiohttp, SQL or prometheus_client.

process        NewsProcessor: what a source hands in → a complete item → the log
broadcast      WebSocketBroadcaster: the log → websocket_queue → match → one frame → every connection that matched
canary         Canary: a client of ourselves, and its probes
canary_end     the server's end of the canary's connection
connections    ConnectionManager: who is connected, who gets a frame, who is cut off
places         Places: who has a seat, who takes over whose
upkeep         heartbeats, checkpoints that are due, the drain
session        Session: one connection's life
converse       one inbound message → one action
explain        why a user did or did not get an item
subscriptions  a user's stored filter: disk, then index, then "yes"
history        what the log holds, as a user's filter sees it
retention      what the log forgets
readiness      whether the broadcaster turns and there is room
vigil          how late the event loop turns
"""
