"""Bundled data files, and conversion of HTML to text.

vocabularies  loads the vocabularies and the sample items from app/data
"""
