"""Read the dates of feeds, which are written in dozens of forms and several languages.

RSS asks for RFC 822 and Atom for RFC 3339, but publishers also write local names of months and zones, local orders of
day and month, and Unix times. A date without a zone is taken as UTC.
"""

import re
import unicodedata
from datetime import date
from typing import NamedTuple


class FeedDate(NamedTuple):
    """A date of a feed in Unix seconds. `is_certain` is False if it could be read in another way too: day and month
    could be exchanged, or its time zone is unknown.
    """

    seconds: float
    is_certain: bool


class _Day(NamedTuple):
    year: int
    month: int
    day: int
    is_certain: bool = True


class _Zone(NamedTuple):
    offset_s: int
    is_certain: bool = True


# The names of the months, from January on, as they begin in English, German, French, Spanish, Italian, Portuguese,
# Dutch, Scandinavian languages, Polish, Czech, Turkish and Russian. Accents are removed. No name of a month begins with
# an entry of another month, unless a longer entry matches it.
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january ene gen genn janv led ocak oca янв styc sty",
            "feb february fev fevr febb unor uno subat sub фев lut",
            "mar march mrz maerz marz mars mart brez bre мар maa maart",
            "apr april avr avril abr abril nis nisan апр kwi dub",
            "may mai mei mag maggio maj mayo mayis май мая kve kvet",
            "jun june juni juin junio giu giug haz haziran июн cze cerven cer",
            "jul july juli juillet juil julio lug luglio tem temmuz июл lip cervenec",
            "aug august aout aou ago agosto agu agustos авг sie srp",
            "sep sept september set sett eyl eylul сен wrz zar",
            "oct october okt oktober out ott ottobre oktob eki ekim окт paz rij",
            "nov november noviembre kas kasim ноя lis listopad",
            "dec december dez dezember dic dicembre dicie ara aralik дек gru pro prosin des",
        ),
        start=1,
    )
    for name in names.split()
}
_LONGEST_NAME = max(map(len, _MONTHS))

_HOUR, _HALF = 3_600, 1_800
# IST is India's and BST Britain's, as in the feeds of these countries.
_ZONES = {
    name: offset
    for offset, names in {
        0: "z ut utc gmt wet",
        1 * _HOUR: "cet bst west met mez",
        2 * _HOUR: "cest mest eet sast mesz cat",
        3 * _HOUR: "eest msk trt eat idt",
        4 * _HOUR: "gst msd",
        5 * _HOUR: "pkt",
        5 * _HOUR + _HALF: "ist",
        7 * _HOUR: "wib ict",
        8 * _HOUR: "sgt hkt pht awst myt",
        9 * _HOUR: "jst kst",
        9 * _HOUR + _HALF: "acst",
        10 * _HOUR: "aest",
        10 * _HOUR + _HALF: "acdt",
        11 * _HOUR: "aedt",
        12 * _HOUR: "nzst",
        13 * _HOUR: "nzdt",
        -2 * _HOUR - _HALF: "ndt",
        -3 * _HOUR - _HALF: "nst",
        -3 * _HOUR: "brt art adt clst",
        -4 * _HOUR: "edt ast clt",
        -5 * _HOUR: "est cdt pet cot",
        -6 * _HOUR: "cst mdt",
        -7 * _HOUR: "mst pdt",
        -8 * _HOUR: "pst akdt",
        -9 * _HOUR: "akst hdt",
        -10 * _HOUR: "hst",
    }.items()
    for name in names.split()
}
_LARGEST_OFFSET_S = 14 * _HOUR

_EPOCH = date(1970, 1, 1)
_MAX_LENGTH = 100
_UNIX = re.compile(r"\d{9,10}(?:\.\d+)?")
_UNIX_MS = re.compile(r"\d{12,13}")
_BASIC = re.compile(r"(\d{4})(\d\d)(\d\d)(?:[t ]?(\d\d)(\d\d)(\d\d)?)?(?!\d)")
_IN_BRACKETS = re.compile(r"\([^)]*\)")
# The hour is not the end of a longer number.
_TIME = re.compile(
    r"(?<![\d:])[t,]?\s*(\d{1,2})[:h](\d{2})(?::(\d{2})(?:[.,](\d+))?)?\s*(?:uhr\b)?\s*([ap])?(?(5)\.?\s*m\b\.?)"
)
_OFFSET = re.compile(r"(?:\b(?:gmt|utc|ut|z)\s*)?([+-])\s?(\d{1,2})(?::?(\d{2}))?(?!\d|\s*[a-z])")
_ZONE_NAME = re.compile(r"(?<![a-z])[a-z]{1,5}(?![a-z])")
_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})(?!\d)")
_NUMBERS = re.compile(r"(?<!\d)(\d{1,2})\s*([-/.])\s*(\d{1,2})\s*\2\s*(\d{4}|\d{2})(?!\d)")
_DAY_FIRST = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th|er|\.|º)?[\s-]*(?:de\s+)?([^\W\d_]+)\.?,?[\s-]*(?:de\s+)?(\d{4}|\d{2})(?!\d)"
)
_MONTH_FIRST = re.compile(r"([^\W\d_]+)\.?\s*(\d{1,2})(?:st|nd|rd|th)?[\s,]+(\d{4}|\d{2})(?!\d)")


def parse_date(text: str) -> FeedDate | None:
    """Read a date of a feed. Return None if it has no known form, or if it is before 1970."""
    plain = _plain(text)
    if not plain or len(plain) > _MAX_LENGTH:
        return None
    if _UNIX.fullmatch(plain):
        return FeedDate(float(plain), is_certain=True)
    if _UNIX_MS.fullmatch(plain):
        return FeedDate(int(plain) / 1_000, is_certain=True)
    try:
        found = _parse(plain)
    except (ValueError, OverflowError):
        # A day or an hour that does not exist.
        return None
    return found if found is not None and found.seconds >= 0 else None


def _plain(text: str) -> str:
    """Return a text in lower case, without accents and with single spaces."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return " ".join(unicodedata.normalize("NFC", bare).casefold().split())


def _parse(plain: str) -> FeedDate | None:
    basic = _BASIC.match(plain)
    if basic:
        year, month, day, hour, minute, second = (int(part or 0) for part in basic.groups())
        zone = _zone(plain[basic.end() :])
        return _combine(_Day(year, month, day), (hour * 60 + minute) * 60 + second, zone)
    time_s, zone, rest = 0.0, _Zone(0), _IN_BRACKETS.sub(" ", plain)
    if time := _TIME.search(rest):
        time_s, after = _seconds(time), rest[time.end() :]
        zone = _zone(after)
        # Only what follows the time can be a zone: a year may stand there too.
        rest = f"{rest[: time.start()]} {_OFFSET.sub(' ', after, count=1)}"
    found = _day(rest)
    return None if found is None else _combine(found, time_s, zone)


def _combine(day: _Day, time_s: float, zone: _Zone) -> FeedDate:
    # 24:00 and the second 60 are in the next day and minute.
    midnight = (date(day.year, day.month, day.day) - _EPOCH).total_seconds()
    return FeedDate(midnight + time_s - zone.offset_s, day.is_certain and zone.is_certain)


def _seconds(time: re.Match[str]) -> float:
    """Return the seconds since midnight. Raises ValueError if there is no such time."""
    hour, minute, second = int(time[1]), int(time[2]), int(time[3] or 0)
    if hour > 24 or minute > 59 or second > 60:
        raise ValueError("no such time")
    if time[5]:
        hour = hour % 12 + (12 if time[5] == "p" else 0)
    return (hour * 60 + minute) * 60 + second + float(f"0.{time[4] or 0}")


def _zone(after: str) -> _Zone:
    """Return the zone that follows a time. Without one it is UTC; so it is, but not certain, if its name is unknown."""
    if offset := _OFFSET.search(after):
        seconds = int(offset[2]) * _HOUR + int(offset[3] or 0) * 60
        if len(offset[2]) == 1 or seconds <= _LARGEST_OFFSET_S:
            return _Zone(-seconds if offset[1] == "-" else seconds)
        return _Zone(0, is_certain=False)
    names = _ZONE_NAME.findall(after)
    known = next((name for name in names if name in _ZONES), None)
    if known is not None:
        return _Zone(_ZONES[known])
    return _Zone(0, is_certain=not any(_month(name) is None for name in names))


def _day(rest: str) -> _Day | None:
    """Return the day in a text from which the time was taken out."""
    if found := _YEAR_FIRST.search(rest):
        return _Day(int(found[1]), int(found[2]), int(found[3]))
    if found := _NUMBERS.search(rest):
        return _from_numbers(int(found[1]), int(found[3]), _year(found[4]), found[2])
    if (found := _DAY_FIRST.search(rest)) and (month := _month(found[2])):
        return _Day(_year(found[3]), month, int(found[1]))
    # The first word may be the name of a day.
    for found in _MONTH_FIRST.finditer(rest):
        if month := _month(found[1]):
            return _Day(_year(found[3]), month, int(found[2]))
    return None


def _from_numbers(first: int, second: int, year: int, sign: str) -> _Day:
    """Read two numbers and a year. With slashes the month is the first number, as in America, and otherwise the day.
    That is certain with dots, and if one of the numbers can only be the day.
    """
    month, day = (first, second) if sign == "/" else (second, first)
    if month > 12:
        month, day = day, month
    return _Day(year, month, day, is_certain=sign == "." or day > 12 or day == month)


def _year(text: str) -> int:
    year = int(text)
    return year if len(text) == 4 else year + (2000 if year < 70 else 1900)


def _month(word: str) -> int | None:
    """Return the number of the month whose name a word is or begins with; the longest known beginning decides."""
    for size in range(min(len(word), _LONGEST_NAME), 2, -1):
        if word[:size] in _MONTHS:
            return _MONTHS[word[:size]]
    return None
