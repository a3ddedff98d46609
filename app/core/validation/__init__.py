"""From untrusted input to typed values, or to errors that say what each value must be.

strict_json      decoding JSON with the checks that msgspec leaves out
fields           converting a decoded object, with every wrong field named
values           texts to values, and what a type accepts in the words of JSON
limit_overrides  the setting NEWS_LIMITS
"""
