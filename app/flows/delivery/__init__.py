"""From the log to every connection: the hot path, and the way back for those that cannot follow it.

session        one connection's state
inbox          what a client sent and is not answered yet
live           the connections that get items as they are broadcast, and how a connection leaves and joins them
slots          which slot of the filter index belongs to which channel
broadcast      the log, websocket_queue, matching, and the frames of each item
fanout         one batch of items to every connection that matched
catch_up       the log to one connection at its own pace, and the switch to live
replay_filter  whether a channel's filter matches an item that is read back
resume         where in the log a connection starts
acks           redelivery, and the durable cursors of devices

May import: core, ports, telemetry.
"""
