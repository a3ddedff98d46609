"""WebSockets: the upgrade, the frames of a client, and one slim protocol for each open socket.

upgrade_request  an upgrade request, parsed once
connect_query    what its query asks for
upgrade          GET /ws/news and the canary's endpoint: checks, admission, handshake
frame_reader     bytes to messages
link             an upgraded transport as a session's Link
send_many        the same bytes to many sockets
canary_client    the canary's side of its connection
"""
