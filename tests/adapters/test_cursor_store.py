"""One suite for every CursorStore."""

from app.core.delivery.positions import Position
from app.ports.stores import Cursor, CursorStore


def cursor(device_id: str = "laptop", seq: int = 7, at: float = 100.0, user_id: str = "u") -> Cursor:
    return Cursor(user_id, device_id, Position("a1", seq), at)


async def test_unknown_device_has_no_cursor(cursors: CursorStore) -> None:
    assert await cursors.load("u", "laptop") is None


async def test_load_returns_the_last_saved_cursor(cursors: CursorStore) -> None:
    await cursors.save([cursor(), cursor("phone", seq=3), cursor("", seq=4)])
    await cursors.save([cursor(seq=9, at=200.0)])

    assert await cursors.load("u", "laptop") == cursor(seq=9, at=200.0)
    assert await cursors.load("u", "phone") == cursor("phone", seq=3)
    assert await cursors.load("u", "") == cursor("", seq=4)
    assert await cursors.load("other", "laptop") is None


async def test_devices_of_a_user_are_counted(cursors: CursorStore) -> None:
    await cursors.save([cursor(), cursor("phone"), cursor("", user_id="other")])
    await cursors.save([cursor(seq=9)])

    assert [await cursors.count(user) for user in ("u", "other", "third")] == [2, 1, 0]


async def test_highest_sent_seq_is_stored(cursors: CursorStore) -> None:
    await cursors.save([cursor()._replace(sent=9)])
    first = await cursors.load("u", "laptop")
    await cursors.save([cursor()])

    assert first is not None
    assert first.sent == 9
    assert await cursors.load("u", "laptop") == cursor()


async def test_epoch_may_change(cursors: CursorStore) -> None:
    await cursors.save([cursor()])
    await cursors.save([cursor()._replace(position=Position("b2", 1))])

    stored = await cursors.load("u", "laptop")
    assert stored is not None
    assert stored.position == Position("b2", 1)


async def test_old_cursors_are_pruned_in_steps(cursors: CursorStore) -> None:
    await cursors.save([cursor(f"d{number}", at=float(number)) for number in range(10)])

    assert await cursors.prune(updated_before=6.0, limit=4) == 4
    assert await cursors.prune(updated_before=6.0, limit=4) == 2
    assert await cursors.prune(updated_before=6.0, limit=4) == 0
    assert await cursors.load("u", "d6") is not None
    assert await cursors.load("u", "d5") is None
