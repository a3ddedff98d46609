"""Sources of news, which put raw items into raw_news_queue.

rss/       polls RSS, Atom and JSON feeds and those of Nitter  (aiohttp, lxml, charset-normalizer)
sample     plays the bundled sample items
html_text  converts HTML to plain text                         (selectolax)
"""
