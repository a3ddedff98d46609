import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ClientError, ErrorCode
from app.core.validation.strict_json import decode_object


class Pairs(list[tuple[str, object]]):
    """An object as it is written: a key may occur twice."""

    def text(self, escapes: bool) -> str:
        """Write it as JSON, with colons as they are or as escapes."""
        return "{" + ",".join(f"{_string(key, escapes)}:{_text(value, escapes)}" for key, value in self) + "}"


def _text(value: object, escapes: bool) -> str:
    if isinstance(value, Pairs):
        return value.text(escapes)
    if isinstance(value, list):
        return "[" + ",".join(_text(inner, escapes) for inner in value) + "]"
    return _string(value, escapes) if isinstance(value, str) else json.dumps(value)


def _string(text: str, escapes: bool) -> str:
    return json.dumps(text).replace(":", "\\u003a") if escapes else json.dumps(text)


REFUSED = [
    (b"", "must not be empty"),
    (b" \n", "must not be empty"),
    (b'{"a":', "ends too early"),
    (b"not json", "malformed"),
    (b'{"a":1} {"b":2}', "trailing"),
    (b'{"a":NaN}', "malformed"),
    (b'{"a":-Infinity}', "malformed"),
    (b'{"a":1e999}', "at most 1.8e308"),
    (b'{"a":1,"a":2}', "twice"),
    (b'{"b":{"a":1,"a":2}}', "twice"),
    (b'{"a":":","a":"\\u003a"}', "twice"),
    (b'{"a":{"b":1},"a":"\\u003A\\u003a"}', "twice"),
    (b'{"a":"\\u0000"}', "NUL"),
    (b'{"a":["x",{"\\u0000":1}]}', "NUL"),
    (b'{"a":"\\ud800"}', "lone surrogates"),
    (b'{"a":"\\uDfff"}', "lone surrogates"),
    (b'{"a":"\\ud800\\u0041"}', "lone surrogates"),
    (b'{"a":"\\ud83d\\ude00', "ends too early"),
    (b'{"abc":"\xff"}', "must be UTF-8: byte 8 is not"),
    (b'{"a":9007199254740993}', "2^53"),
    (b'{"a":[-9007199254740993]}', "2^53"),
    (b'{"a":' + b"[" * 8 + b"]" * 8 + b"}", "deeper than 8"),
    (b"[" * 100_000, "deeper than 8"),
    (b'{"a":' * 50_000, "deeper than 8"),
]


@pytest.mark.parametrize(("body", "part"), REFUSED)
def test_errors_are_described_in_words(body: bytes, part: str) -> None:
    with pytest.raises(ClientError) as caught:
        decode_object(body)

    [error] = caught.value.fields
    assert caught.value.code is ErrorCode.INVALID_JSON
    assert str(caught.value) == "Invalid JSON"
    assert error.pointer == ""
    assert part in error.detail


ACCEPTED: list[tuple[bytes, object]] = [
    (b"{}", {}),
    (b"\xef\xbb\xbf{}", {}),
    (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
    (b'{"a":{"a":1}}', {"a": {"a": 1}}),
    (b'{"a:b":"c:d [[[[[[[[[[[[ {{{{"}', {"a:b": "c:d [[[[[[[[[[[[ {{{{"}),
    (b'{"a":"\\\\u0000"}', {"a": "\\u0000"}),
    (b'{"a":"\\"quoted\\" : text"}', {"a": '"quoted" : text'}),
    (b'{"\\u003a":"\\u003A:"}', {":": "::"}),
    (b'{"a":9007199254740992}', {"a": 2**53}),
    (b'{"a":0.12345678901234567890}', {"a": 0.12345678901234567890}),
    (b'{"a":"\xe5\x88\xa9"}', {"a": "利"}),
    (b'{"a":' + b"[" * 7 + b"]" * 7 + b"}", {"a": [[[[[[[]]]]]]]}),
]


@pytest.mark.parametrize(("body", "expected"), ACCEPTED)
def test_well_formed_json_is_decoded(body: bytes, expected: object) -> None:
    assert decode_object(body) == expected


@given(st.binary(max_size=200) | st.text('{}[]":,\\1eu0\0 ', max_size=60).map(str.encode))
def test_arbitrary_bytes_are_decoded_or_refused(body: bytes) -> None:
    try:
        document = decode_object(body)
    except ClientError:
        return

    assert isinstance(document, dict)


JSON = st.recursive(
    st.integers(-9, 9) | st.text('a:"\\u003{[', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(st.tuples(st.text("ab:", max_size=2), inner), max_size=3).map(Pairs)
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.text("ab:", max_size=2), JSON), max_size=4).map(Pairs), st.booleans())
def test_duplicate_keys_are_refused(pairs: "Pairs", escapes: bool) -> None:
    body = pairs.text(escapes)
    seen: list[bool] = []
    json.loads(body, object_pairs_hook=lambda found: seen.append(len({key for key, _ in found}) < len(found)))

    if any(seen):
        with pytest.raises(ClientError):
            decode_object(body.encode())
    else:
        decode_object(body.encode())


@pytest.mark.parametrize("body", [b"[1,2]", b'"text"', b"null", b"5"])
def test_non_object_is_refused(body: bytes) -> None:
    with pytest.raises(ClientError) as caught:
        decode_object(body, ErrorCode.INVALID_MESSAGE)

    assert caught.value.code is ErrorCode.INVALID_MESSAGE
    assert caught.value.fields[0].detail == "must be an object"
