"""The journeys, one module each. They know ports, core and telemetry; they never see aiohttp, SQL or prometheus_client.

process        NewsProcessor: what a source hands in → a complete item → the log
broadcast      WebSocketBroadcaster: the log → websocket_queue → match → one frame → every connection that matched
canary         Canary: a client of ourselves, and its probes
canary_end     the server's end of the canary's connection
session        Session: one connection's life, and its channels
connections    ConnectionManager: who is connected, live or behind, who is cut off
places         Places: who has a seat, who takes over whose
addresses      Addresses: how much one address may have
slots          which slot of the filter index is whose
fanout         one item → every connection that matched
catch_up       CatchUp: the log → one connection at its own pace, and the switch to live
judge          whether a channel wants an item that is read back
resume         where a connection begins that asks for what it missed
acks           what is not acknowledged, sent again; devices' cursors
greeting       what a connection hears first
upkeep         heartbeats and checkpoints that are due
drain          how the server stops
converse       a client's frames: metering, order, refusals
commands       one inbound message → one action
channels       joining, changing and leaving a channel
explain        why a user did or did not get an item
visits         who is and was connected, as operators see it
backlog        what clients have not taken yet
gauges         what is asked at scrape
subscriptions  a user's stored filter: disk, then index, then "yes"
history        what the log holds, as a user's filter sees it
retention      what the log forgets
readiness      whether the broadcaster turns and there is room
revocations    Revocations: tokens that are believed no more
vigil          how late the event loop turns
"""
