"""Define the WebSocket messages, how they are parsed and encoded, and the close codes.

client_messages  the messages that a client may send
server_messages  the messages that the server may send
explanations     why a client did or did not get an item
frames           encoding of server messages as WebSocket frames
deflate          permessage-deflate: negotiation and compression
close_codes      the reasons why a connection ends, and their close codes
"""
