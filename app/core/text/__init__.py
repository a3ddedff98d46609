"""Split texts into words, parse terms, and find the terms that occur in a text. A term is what a filter or vocabulary
looks for: a word, a phrase, a prefix or a substring.

words       normalizes and tokenizes texts, parses terms
term_index  an inverted index, which finds the slots that listed a term that occurs in a text
"""
