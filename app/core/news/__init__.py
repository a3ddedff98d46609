"""Define what a news item is, and complete the items that sources provide.

item             NewsItem and RawNews: the item as clients see it, and as a source provides it
urls             canonical URLs and item ids
entities         an item's tickers, people, category and tags, found with a vocabulary
scoring          impact and relevance, 0 to 100
dates            the dates of feeds, in dozens of forms
feed_entry       FeedDocument and FeedEntry: what a feed says, and what becomes of an entry
feed_schedule    when a feed is polled again
identity         which entries of feeds are the same one
entry_rules      which entries are news, by their age and by what was seen
nitter           whose post an entry of a Nitter instance is
near_duplicates  texts that tell the same story in nearly the same words
enrichment       all of the above applied to one item
"""
