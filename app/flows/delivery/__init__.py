"""Deliver items to every connection: live as they are broadcast, or from the log if a client resumes or is too slow.

channel        one filter of a connection, under a name
session        the state of one connection
inbox          a client's unanswered messages, and the token buckets that meter its frames
live           the set of live connections: joining it, leaving it, and writing to connections
slots          the slot of each channel in the filter index, and counts of items by slot
broadcast      the tasks that take items from the log, match them and send them
fanout         writing one batch of items to every connection that matched
catch_up       reading the log for a connection that is not live, until it goes live
replay_filter  whether a channel's filter matches an item that is read from the log
resume         where in the log a connection starts
acks           redelivery, and the durable cursors of devices

May import: core, ports, telemetry.
"""
