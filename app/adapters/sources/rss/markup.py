"""Turn the text of an XML feed into a tree.

Much of what publishers send is not well-formed: ampersands stand alone, entities of HTML are not declared, text comes
before the feed. All that is repaired in the text before it is parsed, outside of CDATA sections. So the parser drops
nothing, and most documents are parsed strictly. Only what is still not well-formed is parsed forgivingly.
"""

import html
import re
from collections.abc import Iterator, Mapping
from html.entities import html5
from typing import NamedTuple

from lxml import etree

_SNIFFED = 64 * 1024
# The longest entry whose end is looked for, in characters.
_MAX_ENTRY = 2 * 1024 * 1024
_ROOT = re.compile(r"<(?:\w+:)?(?:rss|feed|rdf)(?=[\s>/])", re.IGNORECASE)
_DOCTYPE = re.compile(r"<!DOCTYPE\b", re.IGNORECASE)
_IN_DTD = re.compile(r""""[^"]*"|'[^']*'|<!--.*?-->|[\[\]>]""", re.DOTALL)
_ENTITY = re.compile(r"""<!ENTITY\s+(%\s*)?([\w:.-]+)\s+(?:"([^"]*)"|'([^']*)'|(\w+))""", re.IGNORECASE)
_COMMENT_IN_DTD = re.compile(r"<!--.*?-->", re.DOTALL)
_CHARACTER = re.compile(r"&#(?:\d{1,7}|x[0-9a-f]{1,6});", re.IGNORECASE)
_AMPERSAND = re.compile(r"&(?:(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{0,31});)?")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_OF_XML = frozenset(("amp", "lt", "gt", "quot", "apos"))
_BARE_LESS = re.compile(r"<(?![A-Za-z_/!?])")
_TITLE = re.compile(r"(<title\b[^>]*>)((?:(?!</?title\b).)*)(</title\s*>)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[A-Za-z_][^<>]*>")
_UNQUOTED = re.compile(r"""(\s[\w:.-]+=)([^"'\s>][^\s>]*)""")
_ENTRY_TAG = re.compile(r"<(/?)(?:\w+:)?(?:item|entry)(?=[\s>])", re.IGNORECASE)
_HTML_TAG = re.compile(
    r"</?(?:a|abbr|acronym|b|bdi|bdo|big|blockquote|br|center|cite|code|dd|del|dfn|div|dl|dt|em|figure|font|h[1-6]|hr|i|"
    r"img|ins|kbd|li|mark|nobr|ol|p|pre|q|s|samp|script|section|small|span|strike|strong|style|sub|sup|table|tbody|td|"
    r"th|time|tr|tt|u|ul|var|wbr)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)


class NotAFeed(Exception):
    """A document is no feed, or one that is not safe to parse. The message says why."""


class Tree(NamedTuple):
    """The root of a parsed document. `is_cut` is whether the document ends within an entry, which is then the last."""

    root: etree._Element
    is_cut: bool


def is_markup(text: str) -> bool:
    """Return whether a text may be a feed in XML: whether one of the root elements begins near its start."""
    return _ROOT.search(text, 0, _SNIFFED) is not None


def parse_markup(text: str) -> Tree:
    """Return the tree of a feed in XML. Raises NotAFeed."""
    start = _ROOT.search(text, 0, _SNIFFED)
    if start is None:
        raise NotAFeed("no <rss>, <feed> or <rdf:RDF> near the start")
    declared: Mapping[str, str] = {}
    doctype = _DOCTYPE.search(text, 0, start.start())
    if doctype is not None:
        end, subset = _skip_doctype(text, doctype.end())
        declared = _declared_entities(subset)
        start = _ROOT.search(text, end, end + _SNIFFED)
        if start is None:
            raise NotAFeed("no <rss>, <feed> or <rdf:RDF> after the document type")
    repaired = "".join(_repaired(_NOT_XML.sub("", text[start.start() :]), declared))
    return Tree(_parse(repaired), _is_cut(repaired))


def _skip_doctype(text: str, start: int) -> tuple[int, str]:
    """Return the end of a document type declaration, and its internal subset."""
    depth, subset_start, subset = 0, start, ""
    for token in _IN_DTD.finditer(text, start):
        if token[0] == "[" and not depth:
            depth, subset_start = 1, token.end()
        elif token[0] == "]" and depth:
            depth, subset = 0, text[subset_start : token.start()]
        elif token[0] == ">" and not depth:
            return token.end(), subset
    raise NotAFeed("the document type declaration does not end")


def _declared_entities(subset: str) -> dict[str, str]:
    """Return the characters that entities stand for. Raises NotAFeed for an entity that is external, a parameter, or
    more than one character: nested entities can expand a kilobyte to a gigabyte.
    """
    entities = {}
    for parameter, name, double, single, external in _ENTITY.findall(_COMMENT_IN_DTD.sub("", subset)):
        value = double or single
        if parameter or external or not (len(value) == 1 or _CHARACTER.fullmatch(value)):
            raise NotAFeed("entity declarations of more than a character are refused")
        entities[name] = html.unescape(value)
    return entities


def _repaired(text: str, declared: Mapping[str, str]) -> Iterator[str]:
    """Yield the parts of a text, in which every `&` outside of CDATA sections and comments begins an entity that XML
    knows.
    """

    def repair(found: re.Match[str]) -> str:
        return _entity(found[1], declared)

    position = 0
    while (start := text.find("<!", position)) >= 0:
        closing = "]]>" if text.startswith("<![CDATA[", start) else "-->" if text.startswith("<!--", start) else ""
        end = text.find(closing, start) if closing else start + 2
        if end < 0:
            break
        end += len(closing)
        yield _AMPERSAND.sub(repair, text[position:start])
        yield text[start:end]
        position = end
    yield _AMPERSAND.sub(repair, text[position:])


def _entity(name: str | None, declared: Mapping[str, str]) -> str:
    """Return what stands for an entity in XML; `name` is None for a bare ampersand."""
    if name is None:
        return "&amp;"
    if name in _OF_XML:
        return f"&{name};"
    if name.startswith("#"):
        return html.escape(_NOT_XML.sub("", html.unescape(f"&{name};")))
    character = declared.get(name) or html5.get(f"{name};")
    return html.escape(character) if character else f"&amp;{name};"


def _parse(text: str) -> etree._Element:
    try:
        return _parse_strictly(text)
    except etree.XMLSyntaxError:
        pass
    quoted = _TAG.sub(lambda tag: _UNQUOTED.sub(r'\1"\2"', tag[0]), _BARE_LESS.sub("&lt;", text))
    escaped = _TITLE.sub(lambda title: title[1] + escape_bare(title[2]) + title[3], quoted)
    try:
        return _parse_strictly(escaped)
    except etree.XMLSyntaxError:
        pass
    try:
        root = etree.fromstring(escaped.encode(), _parser(recovers=True))
    except etree.XMLSyntaxError as error:
        raise NotAFeed(f"not well-formed: {error}") from None
    if root is None:
        raise NotAFeed("not well-formed")
    return root


def _parse_strictly(text: str) -> etree._Element:
    return etree.fromstring(text.encode(), _parser())


def _parser(*, recovers: bool = False) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        recover=recovers,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )


def _is_cut(text: str) -> bool:
    """Return whether the last entry of a document has no end."""
    ends = [tag[1] for tag in _ENTRY_TAG.finditer(text, max(0, len(text) - _MAX_ENTRY))]
    return bool(ends) and not ends[-1]


def escape_bare(markup: str) -> str:
    """Return markup in which every `<` that begins no tag of HTML is escaped. It is text then: "P/E<10"."""
    if "<" not in markup or markup.lstrip().startswith("<![CDATA["):
        return markup
    parts, position = [], 0
    for tag in _HTML_TAG.finditer(markup):
        parts += [markup[position : tag.start()].replace("<", "&lt;"), tag[0]]
        position = tag.end()
    return "".join((*parts, markup[position:].replace("<", "&lt;")))
