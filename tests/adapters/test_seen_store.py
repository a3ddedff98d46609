"""One suite for every SeenStore."""

from app.core.news.identity import Seen
from app.ports.seen import FeedState, SeenStore

KEYS = [number.to_bytes(16) for number in range(1_200)]


async def test_only_remembered_keys_are_known(seen: SeenStore) -> None:
    await seen.remember({KEYS[1]: b"v1", KEYS[2]: b"v2"}, 100.0)
    await seen.remember({KEYS[2]: b"v3"}, 200.0)

    assert await seen.known(KEYS[:4]) == {KEYS[1]: Seen(b"v1", 100.0), KEYS[2]: Seen(b"v3", 200.0)}
    assert await seen.known([]) == {}


async def test_many_keys_are_looked_up_together(seen: SeenStore) -> None:
    await seen.remember(dict.fromkeys(KEYS, b"v"), 100.0)

    assert len(await seen.known(KEYS)) == len(KEYS)


async def test_old_keys_are_pruned_in_steps(seen: SeenStore) -> None:
    await seen.remember(dict.fromkeys(KEYS[:5], b"v"), 100.0)
    await seen.remember(dict.fromkeys(KEYS[5:7], b"v"), 200.0)

    assert [await seen.prune(150.0, 3) for _ in range(3)] == [3, 2, 0]
    assert set(await seen.known(KEYS[:7])) == set(KEYS[5:7])


async def test_state_of_a_feed_is_kept(seen: SeenStore) -> None:
    state = FeedState("https://e.com/", "https://e.com/moved", '"etag"', "Mon", 1)
    await seen.save_feed("f", FeedState())
    await seen.save_feed("f", state)

    assert await seen.feed("f") == state
    assert await seen.feed("other") is None
