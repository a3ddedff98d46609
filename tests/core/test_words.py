import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.text.words import WORD, handle_key, occurs_in, parse_term, ticker_key, tokenize
from tests.support import oracle

CASES = [
    ("eth", "whether the weather", False),
    ("eth", "ETH breaks out", True),
    ("eth", "buy eth.", True),
    ("rate cut", "A surprise rate cut today", True),
    ("rate cut", "rate of the cut", False),
    ("rate cut", "RATE-CUT looms", True),
    ("rate cut*", "rate cutting cycle", True),
    ("elect*", "the election", True),
    ("elect*", "reelection", False),
    ("*", "anything", False),
    ("fed", "Fed's Powell", True),
    ("Ｆｅｄ", "the fed", True),
    ("straße", "Auf der STRASSE", True),
    ("利下げ", "日銀が利下げ決定", True),
    ("利下げ*", "日銀が利下げ決定", True),
    ("利上げ", "日銀が利下げ決定", False),
    ("выборы", "Выборы прошли", True),
    ("выбор", "Выборы прошли", False),
    ("s&p 500", "The S&P 500 fell", True),
    ("whale_alert", "whale_alert says", True),
    ("naïve", "a nai\u0308ve view", True),
    ("C++", "The C++ standard", True),
    ("C++", "Vitamin C sells out", False),
    ("C++", "C# is not C", False),
    ("C#", "Microsoft updates C#.", True),
    ("C#", "C #1 in the charts", False),
    ("c", "The C++ standard", True),
    ("Ｃ＋＋", "c++", True),
    ("visual c++ team", "the Visual C++ team", True),
    ("visual c++ team", "the visual c team", False),
    ("disney+ pri*", "Disney+ prices rise", True),
    ("+5", "up 5 percent", True),
    ("c#*", "c# and f#", True),
]


@pytest.mark.parametrize(("phrase", "text", "expected"), CASES)
def test_term_occurs_as_whole_words(phrase: str, text: str, expected: bool) -> None:
    term = parse_term(phrase)

    assert (term is not None and occurs_in(term, tokenize(text))) is expected


@pytest.mark.parametrize("phrase", ["", "  ", "*", "!!!", "$", "…", "🚀", "・", "฿*"])
def test_phrase_without_letters_is_not_a_term(phrase: str) -> None:
    assert parse_term(phrase) is None


@given(st.text(alphabet="ab c*-+#'éß利下", max_size=8), st.text(alphabet="ab c-+#'éß利下İ", max_size=30))
def test_terms_are_found_like_a_regular_expression(phrase: str, text: str) -> None:
    term = parse_term(phrase)

    assert (term is not None and occurs_in(term, tokenize(text))) is oracle.found(phrase, text)


def test_handles_and_tickers_ignore_sign_and_case() -> None:
    assert handle_key("@WhaleAlert ") == handle_key("whalealert")
    assert ticker_key("$btc") == ticker_key("BTC")
    assert ticker_key("BRK.B") != ticker_key("BRKB")


@given(st.one_of(st.text(st.characters(max_codepoint=127)), st.text(alphabet="aB_9’‘“”–—… é\x1c\x85\u00a0\u2028ſK'-")))
def test_fast_and_slow_tokenizers_agree(text: str) -> None:
    assert tokenize(text).words == tuple(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
