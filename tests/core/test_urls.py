"""Links: which forms of one link are the same, and how a feed's links become absolute."""

import pytest

from app.core.news.urls import canonical, canonical_with_fragment, resolve

STORY = "//tp.example/story/1"
TRACKED = """
    utm_source=rss utm_campaign=a&utm_medium=b at_medium=RSS&at_campaign=KARANGA fbclid=x rss=1 source=rss
    mod=rss_markets src=rss ns_mchannel=rss&ns_source=x CMP=share_btn ref=rss feedType=RSS&feedName=top guccounter=1
    soc_src=x _ga=1.2 ito=1490 partner=rss&emc=rss smid=tw cid=rss via=rss xtor=RSS-1 srnd=x amp=1 outputType=amp
    wt_mc=rss pk_campaign=x mtm_source=x igsh=x si=x cx_testId=1 traffic_source=rss s=09 PHPSESSID=ab12 amp
    sid=0123456789abcdef0123
""".split()
NAMING = "id=5 cid=1234 source=12 s=oil p=1&sid=abc ref=4711 mod=viewthread&tid=5 article=rss q=amp".split()
FORMS = """
    https://m.tp.example/story/1 https://amp.tp.example/story/1 https://www.tp.example/amp/story/1
    https://tp.example/story/1/amp https://tp.example/story/1/amp/ https://tp.example/story/1.amp
    https://tp.example/story/1/amp.html https://www.google.com/amp/s/tp.example/story/1
    https://tp-example.cdn.ampproject.org/c/s/tp.example/story/1 http://TP.example:80/story/1/
    https://tp.example/story/1;jsessionid=0A1B https://tp.example/story/1#top https://mobile.tp.example/story/1
""".split()
OTHERS = """
    https://tp.example/story/2 https://tp.example/story https://m.example/story/1 https://tp.example/example/1
    https://tp.example/camp/1 https://uk.tp.example/story/1 https://tp.example:8443/story/1
""".split()


@pytest.mark.parametrize("query", TRACKED)
def test_tracking_parameters_do_not_count(query: str) -> None:
    assert canonical(f"https://tp.example/story/1?{query}") == STORY


@pytest.mark.parametrize("query", NAMING)
def test_parameters_that_name_the_story_count(query: str) -> None:
    assert canonical(f"https://tp.example/story/1?{query}").startswith(f"{STORY}?")


@pytest.mark.parametrize("url", FORMS)
def test_mobile_and_amp_forms_are_one(url: str) -> None:
    assert canonical(url) == STORY


@pytest.mark.parametrize("url", OTHERS)
def test_other_pages_are_others(url: str) -> None:
    assert canonical(url) != STORY


def test_subdomain_for_mobiles_is_dropped() -> None:
    assert canonical("https://en.m.wiki.example/X") == canonical("https://en.wiki.example/X")


@pytest.mark.parametrize(("fragment", "counts"), [("post-1", True), ("m", False), ("xtor=RSS", False), ("", False)])
def test_fragment_counts_unless_it_only_tracks(fragment: str, counts: bool) -> None:
    url = f"https://e.com/live#{fragment}"

    assert (canonical_with_fragment(url) != canonical(url)) is counts


RESOLVED = [
    ("/rel/1", "https://site.example/rel/1"),
    ("b.html", "https://site.example/news/b.html"),
    ("//cdn.example/x", "https://cdn.example/x"),
    ("www.other.example/x", "https://www.other.example/x"),
    (" https://e.com/a b\n", "https://e.com/a%20b"),
    ("https://e.com/?a=1&amp;b=2", "https://e.com/?a=1&b=2"),
    ("https://e.com/économie", "https://e.com/économie"),
    ("http://[x", "http://[x"),
]


@pytest.mark.parametrize(("link", "absolute"), RESOLVED)
def test_link_is_resolved_as_it_is_written(link: str, absolute: str) -> None:
    assert resolve(link, "https://site.example/news/") == absolute
