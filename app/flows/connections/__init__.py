"""The life of a connection from its upgrade to its end, and the messages that its client sends.

connect_rate       limits on the rate of attempts to connect, for each address and in total
admission          limits on the number of connections: in total, of one user, from one address; device takeover
connect            admitting a connection, and loading what its client asked for, before it opens
lifecycle          opening a connection after the 101, its first messages, and closing it
manager            the register of open connections, and changing the filters of their channels
connection_info    descriptions of open and recently closed connections, for operators
handshake_metrics  the metric label of a refused handshake
handler            the base class of the handlers that receive a connection's events
pending_auth       connections that are open without a token, until their clients send `auth`
dispatcher         metering a client's frames, and answering its messages in order
commands           executing each kind of client message
channels           adding, changing and removing a connection's channels
subscriptions      users' stored filters: loading, storing, and applying changes to open connections
explain            why a user did or did not get an item
keepalive          heartbeats, token expiry, maximum age, redelivery, checkpoints
revocations        tokens that were revoked before they expired

May import: core, ports, telemetry, flows.delivery.
"""
