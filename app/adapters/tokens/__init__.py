"""Verification of JSON Web Tokens, which another system signs.

keys       keys, each with its one algorithm
jwks       fetches and caches the keys that a URL publishes
verifier   verifies the signature and claims of a token
anonymous  the verifier of a server that requires no tokens
choice     creates the verifier that the settings ask for
signing    signs tokens, for the command `polyfloat-news token`
"""
