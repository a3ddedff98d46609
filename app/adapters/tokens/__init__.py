"""Verification of JSON Web Tokens. Another system signs them, except those of the command `polyfloat-news token`.

keys       the keys that verify tokens, each with exactly one algorithm
jwks       fetches and caches the keys that a URL publishes
verifier   verifies the signature and claims of a token
anonymous  the verifier of a server that requires no tokens
choice     creates the verifier that the settings ask for
signing    signs tokens, for the command `polyfloat-news token`
"""
