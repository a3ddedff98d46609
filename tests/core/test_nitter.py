"""Whose post an entry of Nitter is, and what is no post."""

import pytest

from app.core.news.feed_entry import FeedDocument, FeedEntry
from app.core.news.nitter import Post, is_nitter, read_post


def entry(title: str, link: str = "https://n.example/desk/status/19#m", author: str = "@desk") -> FeedEntry:
    return FeedEntry("19", link, title, "Rates rise", None, author)


def document(*entries: FeedEntry, title: str = "Desk / @desk") -> FeedDocument:
    return FeedDocument(title, "https://n.example/desk", entries, {})


@pytest.mark.parametrize(
    ("title", "text", "tags", "retweeted_by"),
    [
        ("Rates rise", "Rates rise", (), ""),
        ("Pinned: Rates rise", "Rates rise", (), ""),
        ("R to @fed: Rates rise", "Rates rise", ("reply",), ""),
        ("RT by @other: Rates rise", "Rates rise", ("retweet",), "@other"),
        ("RT by @other: R to @fed: No", "No", ("retweet", "reply"), "@other"),
        ("RT by hand", "RT by hand", (), ""),
    ],
)
def test_marks_of_a_title_are_read(title: str, text: str, tags: tuple[str, ...], retweeted_by: str) -> None:
    post = read_post(entry(title))

    assert post is not None
    assert (post.entry.title, post.entry.tags, post.retweeted_by) == (text, tags, retweeted_by)
    assert (post.entry.guid, post.entry.author) == ("status 19", "@desk")


def test_author_is_in_the_link_too() -> None:
    post = read_post(entry("x", author=""))

    assert post is not None
    assert post.entry.author == "@desk"


def test_same_status_of_two_instances_is_one() -> None:
    posts = [read_post(entry("x", f"https://{host}.example/desk/status/19")) for host in ("a", "b")]

    assert [post.entry.guid for post in posts if isinstance(post, Post)] == ["status 19", "status 19"]


def test_notice_is_no_post() -> None:
    assert read_post(entry("RSS reader not yet whitelisted!", "https://n.example/")) is None


def test_feeds_of_nitter_are_recognized() -> None:
    assert is_nitter(document(entry("x"), title="Anything"))
    assert is_nitter(document())
    assert is_nitter(document(entry("x", "https://n.example/")))
    assert not is_nitter(document(title="Example Markets"))
    assert not is_nitter(document(entry("x", "https://e.com/news/1")))
