"""Tokenizing texts, parsing terms, and finding the terms that occur in a text.

words       normalizes and tokenizes texts, parses terms
term_index  the inverted index: which slots listed a term that occurs in a text
"""
