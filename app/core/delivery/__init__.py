"""Implement the rules of delivery, without sockets, storage or tasks.

phases         the phases of a connection, and the table of transitions between them
positions      positions in the log, and where a client that resumes starts
ack_window     the items that were sent to a client and that it has not acknowledged
slot_counters  one counter for each slot, incremented for thousands of slots in one operation
grouping       groups of slots that match the same items
"""
