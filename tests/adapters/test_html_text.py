import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.sources.html_text import to_text

CASES = [
    ("plain text", "plain text"),
    ("  spaces \n and\tlines ", "spaces and lines"),
    ("<p>One</p><p>Two</p>", "One Two"),
    ("a<br>b<br/>c", "a b c"),
    ("<b>Bit</b>coin", "Bitcoin"),
    ("AT&amp;T &lt;up&gt; 5&nbsp;%", "AT&T <up> 5 %"),
    ("a < b & c > d", "a < b & c > d"),
    ("<script>alert(1)</script>seen<style>x{}</style>", "seen"),
    ("<a href='javascript:x()'>link</a>", "link"),
    ("<img src=x onerror=alert(1)>text", "text"),
    ("<li>one<li>two", "one two"),
    ("<![CDATA[hidden]]>x", "x"),
    ("nul\x00 bell\x07 esc\x1b[31m", "nul bell esc[31m"),
    ("<td>1</td><td>2</td>", "1 2"),
    ("", ""),
    ("<p></p>", ""),
]


@pytest.mark.parametrize(("markup", "text"), CASES)
def test_html_becomes_the_visible_text(markup: str, text: str) -> None:
    assert to_text(markup) == text


@given(st.text("<>&;/!-\"'= apbrdivscript\n\x00", max_size=80))
def test_any_html_becomes_one_line(markup: str) -> None:
    text = to_text(markup)

    assert "\n" not in text
    assert text == text.strip()
