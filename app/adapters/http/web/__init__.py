"""Pages for browsers.

static  the page at / and its files
"""
