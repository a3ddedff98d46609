"""What clients and server send each other.

client_messages  the messages that a client may send
server_messages  the messages that the server may send
frames           server messages as WebSocket frames
deflate          permessage-deflate: negotiation and compression
close_codes      why a connection ends: reasons and close codes
"""
