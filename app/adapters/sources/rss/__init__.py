"""Poll RSS and Atom feeds.

config            reads feeds.toml: URL, name and interval of each feed
fetching          fetches a feed with one conditional GET, within limits
parsing           parses the bytes of a feed into raw items
public_addresses  refuses connections to private addresses (SSRF protection)
poller            RssPoller: polls every feed at its interval, and puts new entries into raw_news_queue
"""
