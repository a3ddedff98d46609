"""What clients and server send each other.

client_messages what a client may send server_messages what the server may send frames server messages as WebSocket
frames deflate permessage-deflate: negotiation and compression close_codes why a connection ends: reasons and close
codes
"""
