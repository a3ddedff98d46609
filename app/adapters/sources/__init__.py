"""Sources of news, which put raw items into raw_news_queue.

rss/    polls RSS and Atom feeds               (aiohttp, fastfeedparser, feedparser)
sample  plays the bundled sample items
"""
