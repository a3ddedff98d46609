"""Words, terms, and finding listed terms in a text.

words       normalizing and tokenizing texts; parsing terms
term_index  the inverted index: which slots listed a term that occurs in a text
"""
