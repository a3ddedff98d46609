import msgspec
import pytest

from app.core.errors import ERROR_SPECS, ClientError, ErrorCode, FieldError
from app.core.protocol import client_messages, close_codes, frames, server_messages
from app.core.protocol.close_codes import CLIENT_REASONS, CLOSE_CODES, DisconnectReason
from tests.support.items import item
from tests.support.link import payload_of


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_frame_length_uses_the_shortest_encoding(size: int) -> None:
    frame = frames.text_frame(b"x" * size)

    assert frame[0] == 0x81
    assert payload_of(frame) == b"x" * size
    assert len(frame) - size == (2 if size < 126 else 4 if size < 65_536 else 10)


def test_news_item_contains_stored_json_unchanged() -> None:
    stored = msgspec.json.encode(item())

    message = msgspec.json.decode(frames.news_item(7, 12.5, stored))

    assert (message["type"], message["seq"], message["timestamp"]) == ("news_item", 7, 12.5)
    assert msgspec.json.encode(message["data"]) == stored


def test_error_message_has_pointer_detail_and_retry_time() -> None:
    error = ClientError(
        ErrorCode.RATE_LIMITED, "Too many requests", retry_after_s=1.5, fields=(FieldError("/a", "want b"),)
    )

    message = msgspec.json.decode(payload_of(frames.message_frame(server_messages.error_message(error, 5.0, 9))))

    assert message == {
        "type": "error",
        "message": "Too many requests",
        "timestamp": 5.0,
        "code": "rate_limited",
        "retryable": True,
        "id": 9,
        "retry_after_ms": 1500,
        "errors": [{"pointer": "/a", "detail": "want b"}],
    }


@pytest.mark.parametrize("ending", [ending for ending in DisconnectReason if ending not in CLIENT_REASONS])
def test_server_close_codes_make_clients_back_off(ending: DisconnectReason) -> None:
    payload = payload_of(frames.close_frame(ending))

    assert int.from_bytes(payload[:2], "big") == CLOSE_CODES[ending].code
    assert CLOSE_CODES[ending].code not in (1000, 1001, 1005, 1006)
    assert payload[2:].decode().startswith(ending.value)
    assert len(payload) <= 125


def test_every_reason_and_error_code_has_a_row() -> None:
    assert set(CLOSE_CODES) == set(DisconnectReason)
    assert set(ERROR_SPECS) == set(ErrorCode)
    assert close_codes.reason_of_client_code(1001) is DisconnectReason.GOING_AWAY
    assert close_codes.reason_of_client_code(1000) is close_codes.reason_of_client_code(0) is DisconnectReason.CLIENT


def test_close_frame_is_answered_with_its_code() -> None:
    assert payload_of(frames.close_reply_frame(1000)) == b"\x03\xe8"
    assert payload_of(frames.close_reply_frame(0)) == b""


def test_ping_is_parsed() -> None:
    assert client_messages.decode('{"type":"ping"}') == client_messages.Echo()
    assert client_messages.decode('\ufeff{"type":"ping","t":null,"id":5.0,"x":{}}') == client_messages.Echo(5)


@pytest.mark.parametrize("t", ["1735444801123", "1.50", "1e3", "-0", '"\\u00e9 é"', '""'])
def test_pong_returns_t_byte_for_byte(t: str) -> None:
    ping = client_messages.decode(f'{{"type":"ping","t": {t} ,"id":1}}')

    assert isinstance(ping, client_messages.Echo)
    pong = server_messages.Pong(1.0, 2, ping.t, ping.id)
    assert f'"t":{t},"id":1' in msgspec.json.encode(pong).decode()


@pytest.mark.parametrize("t", ["true", "[1]", '{"a":1}', "9007199254740993"])
def test_ping_with_another_t_is_refused(t: str) -> None:
    with pytest.raises(client_messages.InvalidMessage):
        client_messages.decode(f'{{"type":"ping","t":{t}}}')


def test_subscribe_names_unknown_keys_without_filters() -> None:
    read = client_messages.decode('{"type":"subscribe","filter":{"categories":["crypto"]}}')

    assert isinstance(read, client_messages.Subscribe)
    assert [warning.pointer for warning in read.warnings] == ["/filter"]
    assert "filters" in read.warnings[0].detail


def test_subscribe_is_parsed() -> None:
    read = client_messages.decode('{"type":"subscribe","id":4,"filters":{"categories":["crypto"]}}')

    assert isinstance(read, client_messages.Subscribe)
    assert read.parsed is not None
    assert (read.id, read.parsed.filter.categories) == (4, ("crypto",))
    assert client_messages.decode('{"type":"subscribe"}') == client_messages.Subscribe(
        None, "default", None, True, None
    )


REFUSED = [
    ("nonsense", ErrorCode.INVALID_JSON, None, [""]),
    ("[]", ErrorCode.INVALID_MESSAGE, None, [""]),
    ('{"id":3}', ErrorCode.INVALID_MESSAGE, 3, ["/type"]),
    ('{"id":3,"type":7}', ErrorCode.INVALID_MESSAGE, 3, ["/type"]),
    ('{"id":"q","type":"sing"}', ErrorCode.UNKNOWN_TYPE, "q", ["/type"]),
    ('{"type":"ping","id":{}}', ErrorCode.INVALID_MESSAGE, None, ["/id"]),
    ('{"type":"ping","id":true}', ErrorCode.INVALID_MESSAGE, None, ["/id"]),
    ('{"type":"ping","t":[]}', ErrorCode.INVALID_MESSAGE, None, ["/t"]),
    ('{"type":"subscribe","id":1,"filters":[]}', ErrorCode.INVALID_FILTER, 1, ["/filters"]),
    ('{"type":"subscribe","filters":{"keywords":[1,"ok"]}}', ErrorCode.INVALID_FILTER, None, ["/filters/keywords/0"]),
    ('{"type":"subscribe","id":1,"channel":"a b","filters":{}}', ErrorCode.INVALID_MESSAGE, 1, ["/channel"]),
    ('{"type":"subscribe","channel":"","filters":{}}', ErrorCode.INVALID_MESSAGE, None, ["/channel"]),
    ('{"type":"subscribe","since":{}}', ErrorCode.INVALID_MESSAGE, None, ["/since"]),
    ('{"type":"subscribe","since":{"seq":1,"last":2}}', ErrorCode.INVALID_MESSAGE, None, ["/since"]),
    ('{"type":"subscribe","since":{"seq":-1}}', ErrorCode.INVALID_MESSAGE, None, ["/since/seq"]),
    ('{"type":"subscribe","since":{"last":0}}', ErrorCode.INVALID_MESSAGE, None, ["/since/last"]),
    ('{"type":"unsubscribe"}', ErrorCode.INVALID_MESSAGE, None, ["/channel"]),
    ('{"type":"ack","id":2}', ErrorCode.INVALID_MESSAGE, 2, ["/seq"]),
    ('{"type":"ack","seq":1.5}', ErrorCode.INVALID_MESSAGE, None, ["/seq"]),
    ('{"type":"explain","item":""}', ErrorCode.INVALID_MESSAGE, None, ["/item"]),
]


@pytest.mark.parametrize(("text", "code", "request_id", "pointers"), REFUSED)
def test_refused_message_has_reason_and_id(text: str, code: ErrorCode, request_id: object, pointers: list[str]) -> None:
    with pytest.raises(client_messages.InvalidMessage) as caught:
        client_messages.decode(text)

    assert caught.value.error.code is code
    assert caught.value.request_id == request_id
    assert [error.pointer for error in caught.value.error.fields] == pointers


@pytest.mark.parametrize(
    ("text", "seq"),
    [
        ('{"type":"ack","seq":7}', 7),
        ('{"seq":7,"type":"ack","id":"a","received_at":1.5}', 7),
        ('{"type":"ack","seq":-1}', None),
        ('{"type":"ping"}', None),
        ('{"type":"ack"', None),
        ("\ud800", None),
        ("[" * 250, None),
        ('{"type":"ack","seq":7}' + " " * 250, None),
    ],
)
def test_seq_of_an_ack_is_found_without_errors(text: str, seq: int | None) -> None:
    assert client_messages.acknowledged_seq(text) == seq
