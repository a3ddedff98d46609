"""Documents that feeds send, each of which shows one kind of fault, and what is right for it.

The documents are in `feeds/`. They are served as they are, with the headers in `*.headers.json`.
"""

import json
from pathlib import Path

import pytest

from app.adapters.sources.rss.parsing import ParseFailed, parse
from app.core.news.feed_entry import EntryOutcome, FeedDocument
from tests.support.feeds import rss

FEEDS = Path(__file__).parent / "feeds"
SIX = ["Treasury sells two-year notes", "Port strike enters third day", "Rail union rejects offer"]
SIX += ["Lender names new chairman", "Copper output falls again", "Dairy prices rise sharply"]


def read(name: str) -> FeedDocument:
    headers = FEEDS / f"{name.partition('.')[0]}.headers.json"
    content_type = json.loads(headers.read_text()).get("Content-Type", "") if headers.exists() else ""
    charset = content_type.partition("charset=")[2]
    return parse((FEEDS / name).read_bytes(), f"https://feeds.example/{name}", charset)


def titles(document: FeedDocument) -> list[str]:
    return [entry.title for entry in document.entries]


def links(document: FeedDocument) -> list[str]:
    return [entry.link for entry in document.entries]


TITLES = {
    "same_link.xml": SIX,
    "fragment_links.xml": SIX,
    "guid_is_link.xml": SIX,
    "no_link_at_all.xml": SIX,
    "relative_links.xml": SIX,
    "atom_xmlbase.xml": SIX,
    "link_nonascii.xml": SIX,
    "entity_text_in_cdata.xml": SIX[:2],
    "doctype_netscape.xml": SIX[:1],
    "html_entities_no_dtd.xml": ["Café chain files – again"],
    "bare_ampersand.xml": ["AT&T and P&G lead gainers", "Second"],
    "control_chars.xml": ["Oil slips on supply", "Second"],
    "double_escaped.xml": ["AT&T – deal"],
    "title_literal_markup.xml": [
        "Why <div> is not <b>",
        "EPS <estimate by a mile, sales >view",
        "P/E<10 and x<y are signals",
    ],
    "atom_text_title.xml": ["Yields <5% if a<b: the <hr> story", "Bank raises guidance", "Bank cuts guidance"],
    "http_charset_1251.xml": ["Центробанк повысил ставку"],
    "decl_utf8_bytes_1252.xml": ["Société Générale relève “l’objectif”"],
    "bom_utf8.xml": SIX[:1],
    "php_warning_first.xml": SIX[:1],
    "gzip_header_but_plain.xml": SIX[:1],
    "empty_feed.xml": [],
    "text_html_type.xml": SIX[:1],
    "atom_updated.xml": ["Only updated", "Old published new updated"],
    "cdata_content.xml": ["Chipmaker guides higher & shares jump"],
    "ns_default.xml": SIX[:1],
    "items_outside_channel.xml": SIX[:1],
    "categories_given.xml": ["Minister opens new bridge"],
}
LINKS = {
    "relative_links.xml": [f"https://site.example/rel/{number}" for number in range(6)],
    "atom_xmlbase.xml": [f"https://base.example/news/b{number}.html" for number in range(6)],
    "guid_is_link.xml": [f"https://guid.example/{number}" for number in range(6)],
    "fragment_links.xml": [f"https://site.example/live#post-{number}" for number in range(6)],
    "link_nonascii.xml": [f"https://na.example/économie/{number}" for number in range(6)],
    "no_link_at_all.xml": [""] * 6,
    "bare_ampersand.xml": ["https://amp.example/1?a=1&b=2", "https://amp.example/2"],
    "atom_text_title.xml": ["https://at.example/1", "https://at.example/2", "https://at.example/3"],
}


@pytest.mark.parametrize("name", TITLES)
def test_titles_are_the_publishers(name: str) -> None:
    assert titles(read(name)) == TITLES[name]


@pytest.mark.parametrize("name", LINKS)
def test_links_are_the_publishers(name: str) -> None:
    assert links(read(name)) == LINKS[name]


@pytest.mark.parametrize("name", ["html_200.html", "empty_body.xml", "entities-ebcdic.xml"])
def test_what_is_no_feed_is_refused(name: str) -> None:
    with pytest.raises(ParseFailed):
        read(name)


def test_site_is_the_channels_link() -> None:
    assert read("no_link_at_all.xml").site == "https://site.example/"


def test_own_categories_and_dates_are_read() -> None:
    assert read("categories_given.xml").entries[0].tags == ("Politics", "NASDAQ:ACME")
    dates = [entry.date.seconds for entry in read("atom_updated.xml").entries if entry.date]
    assert dates == [1_796_025_660.0, 1_439_059_500.0]


def test_text_of_articles_is_kept() -> None:
    [entry] = read("cdata_content.xml").entries
    article = read("entity_text_in_cdata.xml").entries[0]

    assert entry.content == "Long text one. Long text two."
    assert '<!ENTITY a "b">' in article.content


UNSAFE = [
    '<!DOCTYPE x [<!ENTITY a "aaaa">]>',
    '<!DOCTYPE x [<!ENTITY % a "b">]>',
    '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    "<!DOCTYPE x [<!ENTITY a PUBLIC 'x' 'y'>]>",
    "<!doctype x [ <!-- ] --> <!ENTITY a 'bb'> ]>",
    "<!DOCTYPE x [",
]


@pytest.mark.parametrize("doctype", UNSAFE)
@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-32"])
def test_unsafe_declarations_are_refused(doctype: str, charset: str) -> None:
    document = rss("<title>x</title>").replace("<rss", f"{doctype}<rss")

    with pytest.raises(ParseFailed):
        parse(document.encode(charset), "https://e.com/")


def test_harmless_declarations_are_used() -> None:
    doctype = "<!DOCTYPE rss [<!ENTITY dash '&#8211;'> <!ENTITY e \"é\">]>"
    document = rss("<title>Caf&e; &dash; open &nosuch; &#x80;</title>").replace("<rss", f"{doctype}<rss")

    assert titles(parse(document.encode(), "https://e.com/")) == ["Café – open &nosuch; €"]


def item(number: int) -> str:
    return f"<title>t{number}</title><pubDate>Mon, 30 Nov 2026 08:{number:02}:00 GMT</pubDate>"


def test_newest_entries_are_within_the_limit() -> None:
    numbers = range(20)
    rising = parse(rss(*map(item, numbers)).encode(), "https://e.com/", max_entries=5)
    falling = parse(rss(*map(item, reversed(numbers))).encode(), "https://e.com/", max_entries=5)

    assert sorted(titles(rising)) == sorted(titles(falling)) == ["t15", "t16", "t17", "t18", "t19"]
    assert rising.dropped == falling.dropped == {EntryOutcome.OVER_LIMIT: 15}


def test_every_dropped_entry_has_a_reason() -> None:
    document = rss("<title>t</title>", "<link>https://e.com/</link>", "<title>x</title><link>javascript:x</link>")
    found = parse(document.encode(), "https://e.com/")

    assert titles(found) == ["t"]
    assert found.dropped == {EntryOutcome.NO_TEXT: 1, EntryOutcome.BAD_LINK: 1}


def test_entry_that_is_cut_off_is_dropped() -> None:
    document = rss("<title>whole</title>", "<title>cut</title><description>only ha")
    found = parse(document.encode()[: -len("</item></channel></rss>")], "https://e.com/")

    assert titles(found) == ["whole"]
    assert found.dropped == {EntryOutcome.MALFORMED: 1}


def test_undeclared_prefixes_are_understood() -> None:
    document = "<?xml?xml version='1.0' ??><rss rss:version=2.0><rss:channel><rss:item><rss:title>a</rss:title>"
    document += "<rss:link>https://e.com/a</rss:link></rss:item></rss:channel></rss>"
    found = parse(document.encode(), "https://e.com/")

    assert (titles(found), links(found)) == (["a"], ["https://e.com/a"])


def test_impossible_names_of_elements_raise_nothing() -> None:
    document = parse(rss("<title>a</title>", "<title><x:>b</x:></title>").encode(), "https://e.com/")

    assert "a" in titles(document)


MALFORMED = [
    ("<title>Open <b>tag</title>", "Open tag"),
    ("<title>EPS <estimate, x</title>", "EPS <estimate, x"),
    ("<title>a < b</title>", "a < b"),
    ("<title>x</title><media:content url='y'/>", "x"),
    ("<title>R&D &amp; more</title><p>", "R&D & more"),
]


@pytest.mark.parametrize(("inside", "title"), MALFORMED)
def test_malformed_entries_keep_their_words(inside: str, title: str) -> None:
    found = parse(rss("<title>first</title>", inside).encode(), "https://e.com/")

    assert titles(found) == ["first", title]


def test_only_link_may_be_an_enclosure_or_id() -> None:
    enclosure = '<title>a</title><enclosure url="https://e.com/a.mp3"/>'
    atom = '<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>b</title><id>https://e.com/b</id></entry></feed>'

    assert links(parse(rss(enclosure).encode(), "https://e.com/")) == ["https://e.com/a.mp3"]
    assert links(parse(atom.encode(), "https://e.com/")) == ["https://e.com/b"]


def test_what_the_feed_asks_for_is_read() -> None:
    head = "<ttl>15</ttl><skipHours><hour>3</hour><hour>24</hour></skipHours>"
    found = parse(rss(head=head).encode(), "https://e.com/")

    assert (found.ttl_s, found.skip_hours) == (900.0, frozenset((3, 0)))


def test_json_feed_is_read() -> None:
    entry = {"id": 7, "url": "/a", "title": "P/E<10", "content_html": "<p>x</p>", "tags": ["a"]}
    entry |= {"date_published": "2026-11-30T08:00:00Z", "authors": [{"name": "Desk"}]}
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "J", "home_page_url": "https://j.example/"}
    found = parse(json.dumps({**feed, "items": [entry, 5]}).encode(), "https://e.com/feed.json")

    [one] = found.entries
    assert (one.guid, one.link, one.title, one.content) == ("7", "https://j.example/a", "P/E<10", "x")
    assert (one.author, one.tags, found.dropped) == ("Desk", ("a",), {EntryOutcome.MALFORMED: 1})


WRONG_TYPES = [
    b'{"title":5,"url":"https://e.com/1"}',
    b'{"title":["x"],"url":"https://e.com/1","content_html":{}}',
    b'{"title":"t","url":7}',
    b'{"title":"t","url":"https://e.com/1","date_published":true,"tags":5,"authors":"x","author":5}',
    b"5",
]


@pytest.mark.parametrize("entry", WRONG_TYPES)
def test_wrong_types_in_json_are_tolerated(entry: bytes) -> None:
    feed = b'{"version":"https://jsonfeed.org/version/1.1","title":7,"items":[%b]}' % entry
    found = parse(feed, "https://e.com/")

    assert len(found.entries) + sum(found.dropped.values()) == 1


@pytest.mark.parametrize("body", [b"", b"\x00\x01", b'{"a":1}', b'{"items":[]}', b"[" * 100_000, b"{" * 100_000])
def test_rubbish_is_refused(body: bytes) -> None:
    with pytest.raises(ParseFailed):
        parse(body, "https://e.com/")
