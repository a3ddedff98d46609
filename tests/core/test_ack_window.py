"""The window of a connection in ack mode."""

from app.core.delivery.ack_window import AckOutcome, AckResult, AckWindow


def sent(*seqs: int, acked: int = 0) -> AckWindow:
    window = AckWindow(acked, acked)
    for seq in seqs:
        window.add(seq, accepted_at=100.0 + seq, now=float(seq))
    return window


def test_ack_covers_everything_before_it() -> None:
    window = sent(1, 4, 9)

    assert window.acknowledge(4, cursor=9) == AckOutcome(AckResult.OK, 104.0)
    assert len(window) == 1
    assert window.acked == 4
    assert window.oldest_wait_s(10.0) == 1.0


def test_ack_between_items_names_the_earlier_one() -> None:
    window = sent(1, 4, 9)

    assert window.acknowledge(8, cursor=20) == AckOutcome(AckResult.OK, 104.0)
    assert window.acknowledge(15, cursor=20) == AckOutcome(AckResult.OK, 109.0)
    assert window.oldest_wait_s(100.0) == 0.0


def test_ack_without_pending_items_names_none() -> None:
    assert sent(acked=3).acknowledge(7, cursor=9) == AckOutcome(AckResult.OK, None)


def test_repeated_ack_is_duplicate_and_future_one_unknown() -> None:
    window = sent(1, 2)
    window.acknowledge(2, cursor=5)

    assert window.acknowledge(2, cursor=5) == window.acknowledge(1, cursor=5) == AckOutcome(AckResult.DUPLICATE)
    assert window.acknowledge(6, cursor=5) == AckOutcome(AckResult.UNKNOWN)
    assert window.acked == 2


def test_ack_after_redelivery_is_late_and_resets_attempts() -> None:
    window = sent(1, 2)
    window.rewind()
    assert (len(window), window.attempts, window.was_sent(1), window.was_sent(3)) == (0, 1, True, False)

    window.add(1, 101.0, 20.0)
    assert window.acknowledge(1, cursor=2) == AckOutcome(AckResult.LATE, 101.0)
    assert window.attempts == 0
    assert window.was_sent(2)
    assert not window.was_sent(1)


def test_past_item_is_not_expected_to_be_acked() -> None:
    window = sent(5, 7, acked=4)
    window.add(3, 103.0, 8.0)
    window.add(6, 106.0, 8.0)

    assert len(window) == 2


def test_suspended_window_remembers_what_was_sent() -> None:
    window = sent(1, 2, 3)
    window.acknowledge(1, cursor=3)

    window.suspend()

    assert (window.acked, window.sent, len(window)) == (1, 3, 0)
    assert window.was_sent(3)
    assert window.oldest_wait_s(100.0) == 0.0


def test_pending_items_are_found_by_range() -> None:
    window = sent(3, 5, 9)

    assert window.has_pending(after=0, up_to=3)
    assert window.has_pending(after=3, up_to=8)
    assert not window.has_pending(after=5, up_to=8)
    assert not window.has_pending(after=9, up_to=100)
    assert not sent().has_pending(after=0, up_to=100)
