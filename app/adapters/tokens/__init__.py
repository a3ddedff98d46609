"""JSON Web Tokens: who signs them is somebody else; here they are believed, or not.

keys      which algorithm goes with which key
jwks      the keys that an address publishes, fetched and kept
verifier  a token's signature and claims
choice    which of them the settings ask for
signing   the command `polyfloat-news token`
"""
