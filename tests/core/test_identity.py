"""Which entries of feeds are the same one."""

from app.core.news.dates import FeedDate
from app.core.news.feed_entry import FeedEntry
from app.core.news.identity import Key, identify


def entry(guid: str = "", link: str = "https://e.com/1", title: str = "Rates rise", text: str = "x") -> FeedEntry:
    return FeedEntry(guid, link, title, text, FeedDate(1_000.0, is_certain=True))


def deciding(*entries: FeedEntry, feed: str = "f", trusts_guids: bool = True) -> list[set[Key]]:
    return [set(one.deciding) for one in identify(entries, feed, trusts_guids=trusts_guids)]


def are_one(one: FeedEntry, other: FeedEntry, other_feed: str = "f", *, trusts_guids: bool = True) -> bool:
    """Return whether the second entry is known if the first was seen in an earlier fetch."""
    [seen] = identify([one], "f", trusts_guids=trusts_guids)
    [later] = identify([other], other_feed, trusts_guids=trusts_guids)
    return not set(seen.keys).isdisjoint(later.deciding)


def test_guid_decides_within_a_feed() -> None:
    changed = entry("g1", "https://e.com/2", "Rates fall")

    assert are_one(entry("g1"), changed)
    assert not are_one(entry("g1"), changed, "another feed")
    assert not are_one(entry("g1"), entry("g2", title="Rates fall"))


def test_link_and_title_decide_together() -> None:
    assert are_one(entry("g1"), entry("g2", "https://m.e.com/1?utm_source=rss", "  RATES rise"), "another feed")
    assert not are_one(entry("g1"), entry("g2", "https://e.com/2"))


def test_link_decides_without_guid() -> None:
    assert are_one(entry(), entry(title="Rates fall"))
    assert not are_one(entry(), entry(link="https://e.com/2", text="y"))
    assert not are_one(
        entry(link="https://e.com/live#a"), entry(link="https://e.com/live#b", title="Rates fall", text="y")
    )


def test_same_text_under_another_link_is_one() -> None:
    session = entry(link="https://e.com/1?session=2")

    assert are_one(entry(), session)
    assert not are_one(entry(), session, "another feed")


def test_title_and_text_decide_without_link() -> None:
    assert are_one(entry(link=""), entry(link=""), "another feed")
    assert not are_one(entry(link=""), entry(link="", text="y"))


def test_guid_of_several_stories_is_distrusted() -> None:
    one, other = deciding(entry("g"), entry("g", "https://e.com/2", "Rates fall"))

    assert one.isdisjoint(other)


def test_link_of_several_stories_is_distrusted() -> None:
    one, other = deciding(entry(), entry(title="Rates fall", text="y"))

    assert one.isdisjoint(other)


def test_distrusted_guids_do_not_decide() -> None:
    assert are_one(entry("g1"), entry("g2", title="Rates fall"), trusts_guids=False)
    assert not are_one(entry("g1"), entry("g1", "https://e.com/2", "Rates fall", "y"), trusts_guids=False)


def test_version_ignores_white_space_only() -> None:
    versions = {one.version for one in identify([entry(text="a  b"), entry(text="a\nb"), entry(text="a c")], "f")}

    assert len(versions) == 2


def test_names_in_the_log_differ() -> None:
    names = [one.name for one in identify([entry("g1"), entry("g2"), entry(link=""), entry()], "f")]

    assert len(set(names)) == 4
