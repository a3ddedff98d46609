"""Where news comes from.

rss/    RSS and Atom feeds                              (aiohttp, fastfeedparser, feedparser)
sample  the bundled sample wire
"""
