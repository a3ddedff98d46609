from app.core.news import near_duplicates
from app.core.news.near_duplicates import NearDuplicateIndex
from app.core.text.words import tokenize

TITLE = "Fed cuts rates by half a point in surprise move"
TEXT = (
    "The Federal Reserve cut its benchmark rate by fifty basis points on Tuesday, two weeks before its regular meeting."
)


def nearest(stories: NearDuplicateIndex, item_id: str, title: str, content: str, published_at: float) -> str | None:
    return stories.find_or_add(item_id, tokenize(title), tokenize(content), published_at)


def test_same_story_in_similar_words_is_near() -> None:
    stories = NearDuplicateIndex()
    nearest(stories, "a", TITLE, TEXT, 0.0)

    assert nearest(stories, "b", TITLE, TEXT.replace("on Tuesday", "Tuesday"), 60.0) == "a"


def test_different_story_is_not_near() -> None:
    stories = NearDuplicateIndex()
    nearest(stories, "a", TITLE, TEXT, 0.0)

    assert (
        nearest(stories, "b", "ECB holds rates", "The ECB kept its deposit rate unchanged and gave no hint.", 0.0)
        is None
    )


def test_item_is_not_its_own_duplicate() -> None:
    stories = NearDuplicateIndex()

    assert nearest(stories, "a", TITLE, TEXT, 0.0) is None
    assert nearest(stories, "a", TITLE, TEXT, 0.0) is None


def test_short_texts_have_no_duplicates() -> None:
    stories = NearDuplicateIndex()
    nearest(stories, "a", "BTC up", "", 0.0)

    assert nearest(stories, "b", "BTC up", "", 0.0) is None


def test_old_story_is_new_again() -> None:
    stories = NearDuplicateIndex()
    nearest(stories, "a", TITLE, TEXT, 0.0)

    assert nearest(stories, "b", TITLE, TEXT, 7 * 86_400.0) is None


def test_first_item_represents_all_duplicates() -> None:
    stories = NearDuplicateIndex()

    assert [nearest(stories, name, TITLE, TEXT, 0.0) for name in "abc"] == [None, "a", "a"]


def test_discarded_story_is_not_an_original() -> None:
    stories = NearDuplicateIndex()
    nearest(stories, "a", TITLE, TEXT, 0.0)
    half = " ".join(TEXT.split()[:9])
    nearest(stories, "b", half, "and then it goes on about something else altogether, at some length", 0.0)

    stories.remove("a")
    stories.remove("unknown")

    assert nearest(stories, "c", TITLE, TEXT, 0.0) is None


def test_boilerplate_neither_hides_nor_slows() -> None:
    """A publisher ends each item with the same forty words: most sketches contain them, and
    they distinguish nothing.
    """
    boilerplate = " ".join(f"terms{number} apply" for number in range(20))
    stories = NearDuplicateIndex()
    for number in range(3_000):
        own = " ".join(f"w{number}x{place}" for place in range(60))
        assert nearest(stories, str(number), f"story {number}", f"{own} {boilerplate}", 0.0) is None

    repeated = " ".join(f"w1500x{place}" for place in range(60))
    assert nearest(stories, "again", "story 1500", f"{repeated} and so on. {boilerplate}", 0.0) == "1500"
    widest = max(stories._holders.values(), key=len)
    assert len(widest) > 5 * near_duplicates._MAX_COUNTED
    held = [value for value, holders in stories._holders.items() if holders is widest]
    assert list(stories._candidates(tuple(held))) == []


def test_evicted_items_leave_nothing_behind() -> None:
    stories = NearDuplicateIndex()

    for number in range(near_duplicates.MAX_ITEMS + 10):
        nearest(
            stories, str(number), f"number {number}", f"story {number} about {number} and other {number} things", 0.0
        )

    assert len(stories._fingerprints) == near_duplicates.MAX_ITEMS
    held = {holder for holders in stories._holders.values() for holder in holders}
    assert held == set(stories._fingerprints)
