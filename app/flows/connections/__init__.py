"""Connections and what their clients ask for, from the upgrade to the end.

connect_rate       how fast new connections may come, from one address and in total
admission          how many connections there may be: in total, of one user, from one address; takeover by a device
connect            what has to be loaded and checked before the 101
lifecycle          opening a connection after the 101, what its client is told first, and closing it
manager            the register of open connections, and their channels' filters
connection_info    connections as operators see them, also after they ended
handshake_metrics  the metric label of a refused handshake
handler            what every handler of a connection does unless it says otherwise
pending_auth       connections that still wait for a token
dispatcher         a client's frames: metering, order, errors
commands           one message, one action
channels           joining, changing and leaving a channel
subscriptions      users' stored filters: disk, then index, then the answer
explain            why a user did or did not get an item
keepalive          heartbeats, token expiry, maximum age, checkpoints
revocations        revoked tokens

May import: core, ports, telemetry, flows.delivery.
"""
