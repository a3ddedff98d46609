"""Deliver items to connections: live, as they are broadcast, or from the log, to clients that resume or are too slow.

channel        one filter of a connection, under a name
session        the state of one connection
peer           the client's end of a connection: address and User-Agent
inbox          a client's unanswered messages, and the token buckets that meter its frames
live           the set of live connections: how a connection joins and leaves it, and how it is written to
slots          the number (slot) of each channel in the filter index, and how many items were sent to each slot
live_delivery  sending batches and checkpoints, without a false checkpoint after an error
broadcast      the tasks that take items from the log, match them and send them
fanout         writing one batch of items to every connection that matches any of them
in_flight      the state of a batch of items while it is written
catch_up       reading the log for a connection that is not live, until it goes live
log_reader     the state of one connection's catch-up
replay_filter  matching an item that is read from the log against the filter of one channel
resume         where in the log a connection starts
acks           redelivery of items, and the stored seq up to which each device has acknowledged

May import: core, ports, telemetry.
"""
