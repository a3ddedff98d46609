"""Text from HTML. This file owns how titles and contents become plain text at intake, whatever a source sent."""

import re

from selectolax.lexbor import LexborHTMLParser

# Two words parted only by a block's edge must not become one.
_BLOCK_EDGE = re.compile(
    r"<(?=/?(?:p|div|br|hr|li|ul|ol|tr|td|th|table|h[1-6]|blockquote|pre|section|article|figure|figcaption|img)\b)",
    re.IGNORECASE,
)
# What is inside these is markup that a browser would not show, or would show as markup.
_UNSEEN = "script,style,template,noscript,iframe,object,svg,textarea,xmp,noembed,noframes,plaintext,title"
_CONTROL = {code: None for code in (*range(9), *range(14, 32), *range(0x7F, 0xA0)) if code != 0x85}


def to_text(markup: str) -> str:
    """Give the text a reader would see, on one line: tags, scripts and control characters gone, entities resolved."""
    # A lone surrogate is no text: it could be stored, and never sent.
    markup = markup.encode("utf-8", "replace").decode()
    text = _parse(markup) if "<" in markup or "&" in markup else markup
    return " ".join(text.translate(_CONTROL).split())


def _parse(markup: str) -> str:
    document = LexborHTMLParser(_BLOCK_EDGE.sub(" <", markup))
    for node in document.css(_UNSEEN):
        node.decompose()
    return document.body.text(separator="") if document.body else ""
