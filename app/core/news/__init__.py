"""What a news item is, and how it is completed.

item             NewsItem and RawNews: the item as clients see it, and as a source provides it
urls             canonical URLs and item ids
entities         tickers, people, category and tags, by vocabulary
scoring          impact and relevance, 0 to 100
near_duplicates  texts that tell the same story in nearly the same words
enrichment       all of this applied to one item
"""
