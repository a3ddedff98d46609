"""Origins, hosts, networks and URLs in settings."""

import pytest

from app.core.validation.addresses import (
    normalize_origin,
    page_host,
    parse_exact_origins,
    parse_hosts,
    parse_networks,
    parse_origins,
    parse_safe_url,
)
from app.core.validation.values import InvalidValue, matching

ORIGINS = {
    "https://Desk.Example/": "https://desk.example",
    "https://desk.example:443": "https://desk.example",
    "http://desk.example:80/": "http://desk.example",
    "https://desk.example:8443": "https://desk.example:8443",
    "file://": "file://",
    "file:///": "file://",
    "NULL": "null",
    "http://[::1": "http://[::1",
    "http://localhost//": "http://localhost//",
    "https://a@desk.example": "https://a@desk.example",
}


@pytest.mark.parametrize(("text", "normal"), ORIGINS.items())
def test_origins_are_compared_in_one_form(text: str, normal: str) -> None:
    assert normalize_origin(text) == normal


def test_only_web_pages_have_a_host() -> None:
    assert page_host("http://localhost:3000") == "localhost"
    assert page_host("https://[::1]:3000") == "::1"
    assert [page_host(text) for text in ("null", "file://", "app://localhost", "http://a@localhost", "x")] == [""] * 5


def test_origins_are_parsed_from_a_list() -> None:
    assert parse_origins(" https://A.example/ , * ,") == ("https://a.example", "*")
    assert parse_exact_origins("null,file://,app://x") == ("null", "file://", "app://x")
    with pytest.raises(ValueError, match="wild"):
        parse_exact_origins("https://*.wild.example")


def test_hosts_have_no_port() -> None:
    assert parse_hosts("News.example, 192.0.2.7,2001:db8::1") == ("news.example", "192.0.2.7", "2001:db8::1")
    for text in ("https://a", "a/b", "a b", "ab:80"):
        with pytest.raises(ValueError, match="a"):
            parse_hosts(text)


def test_networks_and_safe_urls_are_checked() -> None:
    assert parse_networks("10.0.0.0/8, ::1") == ("10.0.0.0/8", "::1/128")
    assert parse_safe_url("") == ""
    assert parse_safe_url("http://localhost/keys") == "http://localhost/keys"
    for text in ("http://keys.example", "https://", "keys"):
        with pytest.raises(ValueError, match=text):
            parse_safe_url(text)


def test_text_that_does_not_match_is_refused() -> None:
    value = matching("two digits", r"^\d\d$")

    assert value.parse("42") == "42"
    with pytest.raises(InvalidValue, match="must be two digits"):
        value.parse("x")
