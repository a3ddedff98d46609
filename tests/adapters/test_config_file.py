"""The configuration file: every setting, below variables and options, with errors that say where."""

from pathlib import Path

import pytest

from app.config import Settings, read_settings
from app.options import OPTIONS, InvalidSetting

EVERY_SETTING = """
host = "::1"
port = 9000
metrics_port = 9100
database = "other.db"
feeds = "feeds.toml"
sample_wire = true
cors_origins = ["https://a.example", "https://b.example"]
allowed_origins = ["https://a.example"]
allowed_hosts = ["news.example"]
jwt_audience = "news"
jwt_issuer = "https://id.example"
jwt_secret_file = "secret"
token_in_query = true
connection_policy = "one"
max_connections = 7
max_connections_per_user = 3
max_connections_per_ip = 5
connect_rate_per_ip = 2.5
trusted_proxies = ["10.0.0.0/8", "192.0.2.1"]
proxy_header = "forwarded"
heartbeat_s = 20
retention_days = 0.5
log_level = "warning"
log_format = "console"
revision = "abc"

[limits.messages]
max_bytes = 32768
[limits.requests]
reads_per_s = 0.5
"""
# Of the three keys for tokens only one may be set; anonymous access contradicts it; the file does not name itself.
ALONE = {"config", "allow_anonymous", "jwt_secret", "jwt_public_key", "jwks_url"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text("a secret of more than thirty-two bytes")
    return tmp_path / "news.toml"


def read(file: Path, text: str, environment: dict[str, str] | None = None, **options: str) -> Settings:
    file.write_text(text)
    return read_settings(environment or {}, {"config": str(file)} | options)


def test_every_setting_may_be_in_the_file(file: Path) -> None:
    settings = read(file, EVERY_SETTING)

    changed = {name for name in OPTIONS if getattr(settings, name) != getattr(Settings(), name)}
    assert changed | ALONE == set(OPTIONS)
    assert settings.trusted_proxies == ("10.0.0.0/8", "192.0.2.1/32")
    assert settings.limits == {"messages.max_bytes": 32768, "requests.reads_per_s": 0.5}
    assert (settings.sample_wire, settings.connect_rate_per_ip) == (True, 2.5)


def test_options_override_variables_and_these_the_file(file: Path) -> None:
    text = 'port = 1\nheartbeat_s = 5\nlog_level = "error"\n[limits.messages]\nmax_bytes = 100\nburst = 7'
    environment = {"NEWS_PORT": "2", "NEWS_HEARTBEAT_S": "6", "NEWS_LIMITS": "messages.max_bytes=200"}

    settings = read(file, text, environment, port="3")

    assert (settings.port, settings.heartbeat_s, settings.log_level) == (3, 6.0, "error")
    assert settings.limits == {"messages.max_bytes": 200, "messages.burst": 7}


def test_variable_names_the_file(file: Path) -> None:
    file.write_text("port = 1234")

    assert read_settings({"NEWS_CONFIG": str(file)}, {}).port == 1234


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "prot='…': is not a setting (did you mean \"port\"?)"),
        ("port = 70000", "port='70000': must be an integer between 0 and 65535"),
        ('port = "x"', "port='x': must be an integer"),
        ("port = [1]", "port='[1]': must be a text, a number, true, false, or a list of texts"),
        ("port = 2026-11-30", "must be a text, a number"),
        ("port =", "must be a readable TOML file"),
        ("limits = 1", "must be tables such as [limits.messages]"),
        ("[limits]\nmax_bytes = 1", "must be tables such as [limits.messages]"),
        ("[limits.messages]\nmax_byts = 1", "messages.max_byts"),
        ("[limits.messages.max_bytes]\nx = 1", "must be a text, a number"),
        ('config = "other.toml"', "config='…': is not a setting"),
        ('jwt_secret = "short"\njwks_url = "http://x"', "must be an https URL"),
    ],
)
def test_mistake_names_file_key_and_what_must_be(file: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        read(file, text)

    assert words in str(refused.value)
    assert str(file) in str(refused.value)


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "binary"):
        with pytest.raises(InvalidSetting, match="must be a readable TOML file"):
            read_settings({}, {"config": str(path)})


def test_secret_in_the_file_is_never_shown(file: Path) -> None:
    with pytest.raises(InvalidSetting) as refused:
        read(file, "jwt_secret = [1]")

    assert "[1]" not in str(refused.value)
