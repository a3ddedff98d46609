"""News items on their way into the log, and stored items read from it on request.

intake   FeedIntake: what becomes of each entry of a feed
process  NewsProcessor: completes the raw items of sources and publishers, and appends them to the log
history  stored items as a user's filter sees them

May import: core, ports, telemetry.
"""
