"""WebSockets: the upgrade, a client's frames, and one small protocol object for each open socket.

upgrade_request  parsing an upgrade request
connect_query    parsing the query of an upgrade request
upgrade          GET /ws/news and the canary's endpoint: checks, admission, handshake
frame_reader     parsing a client's frames into messages
link             the socket of one connection after its upgrade
send_many        sending the same bytes to many sockets
canary_client    the WebSocket client with which the canary receives its probes
"""
