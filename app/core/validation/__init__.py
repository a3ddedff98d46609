"""Turn untrusted input into typed values, or into errors that say what each value must be.

strict_json      decodes JSON, with the checks that msgspec leaves out
fields           converts a decoded object to a typed one, and names every wrong field
values           parses values from texts, and describes in words which JSON values a type accepts
addresses        parses origins of web pages, names of hosts, networks and URLs
limit_overrides  parses the setting NEWS_LIMITS
"""
