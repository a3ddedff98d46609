"""The identity of a caller, and what the caller may do and see.

identity     the claims of a verified token: user, scopes, expiry
entitlement  the claim `ent`: which items a user may see
"""
