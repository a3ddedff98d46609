"""News on its way into the log, and out of it again on request.

process  NewsProcessor: what a source handed in becomes a complete item in the log
history  stored items as a user's filter sees them

May import: core, ports, telemetry.
"""
