"""The charset of a document, whatever it says about it."""

import pytest

from app.adapters.sources.rss.charsets import decode

SAMPLES = [
    ("cp1251", "Центробанк повысил ставку до 17 процентов"),
    ("koi8_r", "Центробанк повысил ставку до 17 процентов"),
    ("cp1252", "L’économie française résiste à la hausse"),
    ("shift_jis", "日銀は政策金利を引き上げた。市場は反応した"),
    ("gb18030", "央行上调利率市场反应强烈股市下跌"),
    ("cp1250", "Česká národní banka zvýšila úrokové sazby; příští zasedání se koná v únoru"),
    ("euc_kr", "한국은행이 기준금리를 인상했다"),
    ("cp1253", "Η τράπεζα αύξησε τα επιτόκια"),
    ("cp1256", "رفع البنك المركزي أسعار الفائدة"),
]


def document(text: str, declared: str = "") -> str:
    declaration = f' encoding="{declared}"' if declared else ""
    return f'<?xml version="1.0"{declaration}?><rss><channel><title>{text}</title></channel></rss>'


@pytest.mark.parametrize(("charset", "text"), SAMPLES)
@pytest.mark.parametrize("is_header", [True, False])
def test_named_charset_is_used(charset: str, text: str, is_header: bool) -> None:
    body = document(text, "" if is_header else charset).encode(charset)

    assert text in decode(body, charset if is_header else "")


@pytest.mark.parametrize(("charset", "text"), SAMPLES)
def test_wrong_name_is_noticed(charset: str, text: str) -> None:
    assert text in decode(document(text, "utf-8").encode(charset), "utf-8")


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-8"])
def test_unicode_is_recognized(charset: str) -> None:
    assert "é–日" in decode(document("é–日").encode(charset), "iso-8859-1" if charset == "utf-8" else "utf-8")


def test_latin_1_means_windows_1252() -> None:
    assert "l’été" in decode(document("l’été", "iso-8859-1").encode("cp1252"))


def test_single_wrong_bytes_are_mended() -> None:
    assert "日銀 é’ü" in decode(document("日銀 ").encode().replace("日銀 ".encode(), "日銀 é".encode() + b"\x92\xfc"))


@pytest.mark.parametrize("name", ["utf-7", "base64", "nosuch", "x" * 100, "idna", "\0"])
def test_names_of_no_charset_are_ignored(name: str) -> None:
    assert "é" in decode(document("é").encode(), name)


def test_what_nothing_explains_is_marked() -> None:
    assert decode(b"\xef\xbb\xbf\xff") == "\ufffd"
