"""Bundled data files, and text from HTML.

vocabularies  vocabulary.toml as tables of terms
html_text     the text of an HTML fragment
"""
