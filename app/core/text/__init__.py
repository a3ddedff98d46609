"""Split texts into words, parse terms, and find the terms that occur in a text. A term is what a filter or vocabulary
looks for: a word, a phrase, a prefix or a substring.

words         normalizes and tokenizes texts, parses terms
postings      a map from keys to posting lists
prefix_index  an index of the prefixes of words
phrase_trie   an index of phrases and substrings
term_index    the index of all kinds of terms, which finds the slots that listed a term that occurs in a text
term_set      a set of terms that is compared with one text after another
"""
