import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.adapters.system.logs import set_up_logging
from app.config import Settings, read_settings, unknown_variables
from app.core.limits import Limits
from app.core.validation.limit_overrides import RENAMED
from app.options import InvalidSetting, LogFormat, LogLevel
from tests.support.clock import FakeClock
from tests.support.tokens import SECRET


def test_defaults_without_any_setting() -> None:
    settings = read_settings({}, {})

    assert settings == Settings()
    assert (settings.host, settings.port, settings.database) == ("127.0.0.1", 8000, "news.db")


def test_command_line_overrides_environment() -> None:
    environment = {
        "NEWS_PORT": "1",
        "NEWS_CORS_ORIGINS": "https://a.example/, https://b.example",
        "NEWS_SAMPLE_WIRE": "yes",
    }

    settings = read_settings(environment, {"port": "2"})

    assert (settings.port, settings.sample_wire) == (2, True)
    assert settings.cors_origins == ("https://a.example", "https://b.example")


BAD: list[tuple[dict[str, str], str]] = [
    ({"NEWS_PORT": "70000"}, "NEWS_PORT='70000': must be an integer between 0 and 65535"),
    ({"NEWS_PORT": ""}, "NEWS_PORT=''"),
    ({"NEWS_HEARTBEAT_S": "nan"}, "NEWS_HEARTBEAT_S='nan': must be a number between 1 and 3600"),
    ({"NEWS_METRICS_PORT": "x"}, "NEWS_METRICS_PORT='x': must be an integer between 0 and 65535, or empty"),
    ({"NEWS_METRICS_PORT": "8000"}, "must differ from NEWS_PORT, or be empty"),
    ({"NEWS_LOG_LEVEL": "loud"}, "NEWS_LOG_LEVEL='loud': must be one of debug, info, warning, error"),
    ({"NEWS_LOG_FORMAT": "xml"}, "must be one of json, console"),
    ({"NEWS_SAMPLE_WIRE": "maybe"}, "must be 0 or 1"),
    ({"NEWS_LIMITS": "filters.chanels=3"}, 'unknown limit (did you mean "filters.max_channels"?)'),
    ({"NEWS_LIMITS": "filters.max_channels=3.5"}, "filters.max_channels must be an integer of at least 1"),
    ({"NEWS_LIMITS": "filters.max_channels=0"}, "filters.max_channels must be an integer of at least 1"),
    ({"NEWS_LIMITS": "shutdown.max_close_s=inf"}, "shutdown.max_close_s must be a number above 0"),
    ({"NEWS_LIMITS": "filters.max_channels"}, "filters.max_channels: must be followed by =value"),
    ({"NEWS_LIMITS": "filters.max_channels=3,filters.max_channels=4"}, "filters.max_channels: must be set only once"),
    ({"NEWS_LIMITS": "scan_items=3"}, "or replays.max_scan_items"),
    ({"NEWS_LIMITS": "channels=3"}, "channels is now filters.max_channels"),
    ({"NEWS_LIMITS": "connections=3"}, "connections is now NEWS_MAX_CONNECTIONS"),
    ({"NEWS_LIMITS": "connections.max_total=3"}, "connections.max_total is set by NEWS_MAX_CONNECTIONS"),
    ({"NEWS_CORS_ORIGINS": "desk.example"}, "must be http(s) origins, separated by commas"),
    ({"NEWS_DATABASE": ""}, "must be a path"),
    ({"NEWS_HOST": "::"}, "must be a loopback address"),
    ({"NEWS_HOST": "example.com"}, "must be a loopback address"),
    ({"NEWS_ALLOWED_ORIGINS": "*"}, "* is not allowed"),
    ({"NEWS_ALLOWED_ORIGINS": "desk.example"}, "must be exact http(s) origins"),
    (
        {"NEWS_JWT_SECRET": SECRET, "NEWS_JWKS_URL": "https://x.example/k"},
        "must be unset, because NEWS_JWT_SECRET is set",
    ),
    ({"NEWS_JWKS_URL": "http://x.example/keys"}, "must be an https URL with a host"),
    ({"NEWS_JWKS_URL": "https://"}, "must be an https URL with a host"),
    ({"NEWS_JWT_PUBLIC_KEY": "/nowhere/at.all"}, "must be a public key in PEM"),
    ({"NEWS_JWT_AUDIENCE": "news"}, "one of NEWS_JWT_SECRET"),
    ({"NEWS_JWT_ISSUER": "us"}, "one of NEWS_JWT_SECRET"),
    ({"NEWS_TOKEN_IN_QUERY": "1"}, "one of NEWS_JWT_SECRET"),
    ({"NEWS_JWT_SECRET": SECRET, "NEWS_ALLOW_ANONYMOUS": "1"}, "must be 0, because NEWS_JWT_SECRET is set"),
    ({"NEWS_NATS_URL": "nats://x"}, "does not have that feature"),
]


@pytest.mark.parametrize(("environment", "part"), BAD)
def test_invalid_setting_is_reported_with_its_value(environment: dict[str, str], part: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        read_settings(environment, {})

    assert part in str(caught.value)


def test_secrets_are_not_repeated_in_errors() -> None:
    with pytest.raises(InvalidSetting) as caught:
        read_settings({"NEWS_JWT_SECRET": "hunter2", "NEWS_JWKS_URL": "https://x.example/hunter2"}, {})

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("text", "port"), [("", None), ("0", 0), ("9100", 9100)])
def test_metrics_port_is_separate_if_set(text: str, port: int | None) -> None:
    assert read_settings({"NEWS_METRICS_PORT": text, "NEWS_PORT": "0"}, {}).metrics_port == port


def test_any_other_limit_can_be_set() -> None:
    chosen = read_settings({"NEWS_LIMITS": "filters.max_channels=3, shutdown.max_close_s = 0.5,"}, {}).limits

    assert chosen == {"filters.max_channels": 3, "shutdown.max_close_s": 0.5}
    assert read_settings({}, {}).limits == {}


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_old_limit_name_stops_the_start(old: str, new: str) -> None:
    group, _, name = new.partition(".")
    assert getattr(getattr(Limits(), group), name) is not None

    with pytest.raises(InvalidSetting, match=f"{old} is now "):
        read_settings({"NEWS_LIMITS": f"{old}=3"}, {})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_allow_anonymous(host: str) -> None:
    assert read_settings({"NEWS_HOST": host}, {}).host == host


def test_key_permits_serving_other_hosts() -> None:
    assert read_settings({"NEWS_HOST": "0.0.0.0", "NEWS_JWT_SECRET": SECRET}, {}).host == "0.0.0.0"


def test_public_key_from_file_or_single_line(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN\nA\n-----END", encoding="ascii")

    assert [
        read_settings({"NEWS_JWT_PUBLIC_KEY": text}, {}).jwt_public_key
        for text in (str(tmp_path / "key.pem"), r"-----BEGIN\nA\n-----END")
    ] == ["-----BEGIN\nA\n-----END"] * 2


def test_other_hosts_need_explicit_permission() -> None:
    assert read_settings({"NEWS_HOST": "0.0.0.0", "NEWS_ALLOW_ANONYMOUS": "1"}, {}).allow_anonymous


def test_unknown_variables_are_reported() -> None:
    environment = {"NEWS_PORT": "1", "NEWS_PROT": "1", "NEWS_ZZZZZ": "1", "OTHER": "1", "NEWS_URL": "x"}

    assert unknown_variables(environment) == {"NEWS_PROT": ' (did you mean "NEWS_PORT"?)', "NEWS_ZZZZZ": ""}


@pytest.fixture
def restored_logging() -> Any:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_log_line_is_one_json_object(capsys: pytest.CaptureFixture[str], restored_logging: None) -> None:
    set_up_logging(LogLevel.INFO, LogFormat.JSON, FakeClock().monotonic)

    structlog.get_logger("desk").info("something", user_id='evil"\n{"event":"forged"}\u2028')
    structlog.get_logger("desk").debug("not this")

    [line] = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["logger"]) == ("something", "info", "desk")
    assert entry["user_id"].startswith("evil")
    assert line.isascii()
