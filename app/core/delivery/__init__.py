"""Implement the rules of delivery, without sockets, storage or tasks. A slot is a small integer that stands for one
channel of one connection.

phases         the phases of a connection, and the table of transitions between them
positions      positions in the log, and where a client that resumes starts
ack_window     the items that were sent to a client and are not acknowledged yet
slot_counters  one counter for each slot; thousands of counters are changed in one operation
grouping       groups of slots that match the same items of a batch
"""
