"""News from outside: what is polled, how it is fetched and parsed, and the bundled sample wire.

catalogue    feeds.toml: which feeds, under which name, how often
fetching     one conditional GET with its caps
parsing      bytes to raw items, off the event loop
reach        which addresses a feed may be at, checked at every hop
poller       RssPoller: looks at every feed in its rhythm and hands new entries on
sample_wire  SampleWire: plays the bundled items
"""
