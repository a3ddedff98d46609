"""RSS and Atom feeds: which are polled, how they are fetched and parsed.

config            feeds.toml: which feeds, under which name, how often
fetching          one conditional GET with its limits
parsing           bytes to raw items, off the event loop
public_addresses  which addresses a feed may have, checked for every connection
poller            RssPoller: polls every feed at its interval and passes new entries on
"""
