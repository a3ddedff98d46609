"""Poll feeds: RSS 0.9x to 2.0, RDF, Atom, JSON Feed, and those of Nitter instances.

config            reads feeds.toml
poller            RssPoller: polls every feed at its interval, and hands its documents to the intake
host_gates        few requests at once and a second for each host
fetching          fetches a feed with one conditional GET, within limits
public_addresses  refuses connections to private addresses (SSRF protection)
parser_pool       ParserPool: parses documents in other processes, with limits of time and memory
parser_process    the program of these processes
parsing           from the bytes of a document to the entries of a feed
charsets          from bytes to text
markup            from text to a tree, repaired where it is not well-formed
entries           from a tree to entries: RSS, RDF, Atom
json_feed         from text to entries: JSON Feed
"""
