"""JSON Web Tokens. Another system signs them; they are verified here.

keys       which algorithm belongs to which key
jwks       the keys that a URL publishes, fetched and cached
verifier   a token's signature and claims
anonymous  the verifier that requires no tokens
choice     which verifier the settings ask for
signing    the command `polyfloat-news token`
"""
