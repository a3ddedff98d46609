"""The dates of feeds: every form that was met, and what it means."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.news.dates import parse_date

FORMS = [
    ("Sun, 29 Nov 2026 10:00:00 EST", "2026-11-29T15:00:00"),
    ("Wed, 04 Nov 2026 10:00:00 EDT", "2026-11-04T14:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 PST", "2026-11-29T18:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 MEST", "2026-11-29T08:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 CET", "2026-11-29T09:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 CEST", "2026-11-29T08:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 BST", "2026-11-29T09:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 JST", "2026-11-29T01:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 AEST", "2026-11-29T00:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 IST", "2026-11-29T04:30:00"),
    ("Sun, 29 Nov 2026 10:00:00 UT", "2026-11-29T10:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 Z", "2026-11-29T10:00:00"),
    ("29 Nov 2026 10:00:00 +0200", "2026-11-29T08:00:00"),
    ("Sun, 29 Nov 2026 10:00 +0200", "2026-11-29T08:00:00"),
    ("Sun, 29 Nov 26 10:00:00 +0000", "2026-11-29T10:00:00"),
    ("Sun, Nov 29 2026 10:00:00 +0000", "2026-11-29T10:00:00"),
    ("11/29/2026 10:00:00 AM", "2026-11-29T10:00:00"),
    ("2026/11/29 10:00:00", "2026-11-29T10:00:00"),
    ("29.11.2026 10:00", "2026-11-29T10:00:00"),
    ("05.11.2026 10:00", "2026-11-05T10:00:00"),
    ("2026-11-29 10:00:00", "2026-11-29T10:00:00"),
    ("2026-11-29 10:00:00 +0100", "2026-11-29T09:00:00"),
    ("2026-11-29", "2026-11-29T00:00:00"),
    ("1795946400", "2026-11-29T10:00:00"),
    ("1795946400000", "2026-11-29T10:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 GMT+0200", "2026-11-29T08:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 UTC+2", "2026-11-29T08:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 +02:00", "2026-11-29T08:00:00"),
    ("So, 29 Nov 2026 10:00:00 +0100", "2026-11-29T09:00:00"),
    ("Sonntag, 29. November 2026 10:00:00 +0100", "2026-11-29T09:00:00"),
    ("dim., 29 nov. 2026 10:00:00 +0100", "2026-11-29T09:00:00"),
    ("dom, 29 nov 2026 10:00:00 +0100", "2026-11-29T09:00:00"),
    ("Do, 05 Mrz 2026 10:00:00 +0100", "2026-03-05T09:00:00"),
    ("Вс, 29 ноя 2026 10:00:00 +0300", "2026-11-29T07:00:00"),
    ("Tue, 29 Nov 2026 10:00:00 +0000", "2026-11-29T10:00:00"),
    ("Sun, 29 Nov 2026 24:00:00 GMT", "2026-11-30T00:00:00"),
    ("Sun, 29 Nov 2026 10:59:60 GMT", "2026-11-29T11:00:00"),
    ("Sun Nov 29 10:00:00 2026", "2026-11-29T10:00:00"),
    ("Sun Nov 29 2026 10:00:00 GMT+0100 (CET)", "2026-11-29T09:00:00"),
    ("Sun, 29 Nov 2026 03:00:00 PM EST", "2026-11-29T20:00:00"),
    ("November 29, 2026 10:00 am", "2026-11-29T10:00:00"),
    ("Tue, 29 Sept 2026 10:00:00 GMT", "2026-09-29T10:00:00"),
    ("20261129T100000Z", "2026-11-29T10:00:00"),
    ("2026-11-29T10:00:00.123456789Z", "2026-11-29T10:00:00"),
    ("mar., 03 mars 2026 10:00 CET", "2026-03-03T09:00:00"),
    ("29 de noviembre de 2026 10:00", "2026-11-29T10:00:00"),
    ("2026年11月29日 10:00", "2026-11-29T10:00:00"),
    ("Nov 29, 2026", "2026-11-29T00:00:00"),
    ("2026-11-29t10:00:00+05:30", "2026-11-29T04:30:00"),
    ("20261129100000", "2026-11-29T10:00:00"),
    ("20261129", "2026-11-29T00:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 -0500 (EST)", "2026-11-29T15:00:00"),
    ("Sun, 29-Nov-2026 10:00:00 GMT", "2026-11-29T10:00:00"),
    ("29.11.26 10:00 Uhr", "2026-11-29T10:00:00"),
    ("29/11/2026 10:00", "2026-11-29T10:00:00"),
    ("05/05/2026 10:00", "2026-05-05T10:00:00"),
]
# Read in the most likely way, and said to be uncertain.
UNCERTAIN = [
    ("11/04/2026 3:00:00 PM", "2026-11-04T15:00:00"),
    ("05-11-2026 10:00:00", "2026-11-05T10:00:00"),
    ("Sun, 29 Nov 2026 10:00:00 XYZ", "2026-11-29T10:00:00"),
    ("2026-11-29 10:00:00 America/New_York", "2026-11-29T10:00:00"),
    ("2026-11-29 10:00:00 +99:00", "2026-11-29T10:00:00"),
]
NONE = [
    *(
        "",
        "yesterday",
        "Foo 29, 2026",
        "Sun, 32 Nov 2026 10:00:00 GMT",
        "Sun, 29 Nov 2026 25:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
    ),
    *("Wed, 31 Dec 1969 16:00:00 GMT", "29 Foo 2026", "2026-13-41", "1" * 101, "10:00", "2026"),
]


@pytest.mark.parametrize(("text", "meant"), FORMS)
def test_form_is_read_for_certain(text: str, meant: str) -> None:
    date = parse_date(text)

    assert date is not None
    assert (int(date.seconds), date.is_certain) == (seconds(meant), True)


@pytest.mark.parametrize(("text", "meant"), UNCERTAIN)
def test_ambiguous_form_is_uncertain(text: str, meant: str) -> None:
    assert parse_date(text) == (seconds(meant), False)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_date_has_none(text: str) -> None:
    assert parse_date(text) is None


@given(st.text(alphabet="0123456789 :-+/.,TZ年月日GMTmarnovJan()", max_size=40))
def test_no_text_raises(text: str) -> None:
    date = parse_date(text)

    assert date is None or date.seconds >= 0


@given(st.datetimes(datetime(1970, 1, 2), datetime(2069, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_standard_forms_are_exact(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    forms = (whole.isoformat(), whole.strftime("%a, %d %b %Y %H:%M:%S GMT"), whole.strftime("%d %B %Y %H:%M:%S +0000"))

    assert {parse_date(form) for form in forms} == {(whole.timestamp(), True)}


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
