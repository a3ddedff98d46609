"""The rules of delivery.

phases         where a connection gets its items from, as a table
positions      places in the log, and where a client that resumes starts
ack_window     items that a client has not acknowledged
slot_counters  one counter for each of thousands of slots, moved together
grouping       slots grouped by the set of items that they match
"""
