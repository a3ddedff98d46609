"""Convert HTML to plain text, for the titles and contents that sources send."""

import re

from selectolax.lexbor import LexborHTMLParser

# The start of a block-level tag. A space is put before it, so that the words on both sides do not become one word.
_BLOCK_EDGE = re.compile(
    r"<(?=/?(?:p|div|br|hr|li|ul|ol|tr|td|th|table|h[1-6]|blockquote|pre|section|article|figure|figcaption|img)\b)",
    re.IGNORECASE,
)
# Elements that are removed with their content. A browser does not show the content, or shows it as raw text with its
# tags.
_HIDDEN = "script,style,template,noscript,iframe,object,svg,textarea,xmp,noembed,noframes,plaintext,title"
_CONTROL = {code: None for code in (*range(9), *range(14, 32), *range(0x7F, 0xA0)) if code != 0x85}


def to_text(markup: str) -> str:
    """Return the visible text of some HTML, on one line. Tags, scripts and control characters are removed, and entities
    such as `&amp;` are resolved.
    """
    # A lone surrogate cannot be encoded in UTF-8 and so could never be sent: it becomes a question mark.
    markup = markup.encode("utf-8", "replace").decode()
    text = _parse(markup) if "<" in markup or "&" in markup else markup
    return " ".join(text.translate(_CONTROL).split())


def _parse(markup: str) -> str:
    document = LexborHTMLParser(_BLOCK_EDGE.sub(" <", markup))
    for node in document.css(_HIDDEN):
        node.decompose()
    return document.body.text(separator="") if document.body else ""
