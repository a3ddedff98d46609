"""Settings. This file owns every NEWS_* variable: its name, default, meaning and check."""

import ipaddress
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from app.core.limits import Limits

PREFIX = "NEWS_"
MEMORY = ":memory:"


Number = TypeVar("Number", int, float)

SECRETS = ("jwt_secret",)
"""Settings whose values are never shown."""


class LogLevel(StrEnum):
    """The least severe event that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a log line looks."""

    JSON = "json"
    CONSOLE = "console"


class ConnectionPolicy(StrEnum):
    """How many connections a user may have: several, or one, which the next one replaces."""

    SEVERAL = "several"
    ONE = "one"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one server runs. Made by `read_settings`, so that every value is checked."""

    host: str = "127.0.0.1"
    port: int = 8000
    metrics_port: int | None = None
    database: str = "news.db"
    feeds: str = ""
    sample_wire: bool = False
    allow_anonymous: bool = False
    cors_origins: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    jwt_secret: str = ""
    jwt_public_key: str = ""
    jwks_url: str = ""
    jwt_audience: str = ""
    jwt_issuer: str = ""
    token_in_query: bool = False
    connection_policy: ConnectionPolicy = ConnectionPolicy.SEVERAL
    max_connections: int = 10_000
    max_connections_per_user: int = 5
    max_connections_per_ip: int | None = None
    connect_rate_per_ip: float | None = None
    trusted_proxies: tuple[str, ...] = ()
    heartbeat_s: float = 15.0
    retention_days: float = 7.0
    # Any: each limit has its own type.
    limits: dict[str, Any] = {}
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.JSON
    revision: str = ""


class InvalidSetting(ValueError):
    """A setting that cannot be used; the message names it, its value and what was wanted."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        shown = repr(value) if name not in SECRETS else "…"
        super().__init__(f"{PREFIX}{name.upper()}={shown}: want {wanted}")


class Option(NamedTuple):
    """One setting: what it means, what is wanted, and how its text is read (ValueError when it cannot be)."""

    help: str
    wanted: str
    read: Callable[[str], Any]


def _whole(least: int, most: int) -> tuple[str, Callable[[str], int]]:
    def read(text: str) -> int:
        if not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return f"a whole number from {least} to {most}", read


def _number(least: float, most: float) -> tuple[str, Callable[[str], float]]:
    def read(text: str) -> float:
        if not least <= float(text) <= most:
            raise ValueError(text)
        return float(text)

    return f"a number from {least:g} to {most:g}", read


def _networks(text: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(part.strip())) for part in text.split(",") if part.strip())


def _optional(given: tuple[str, Callable[[str], Number]]) -> tuple[str, Callable[[str], Number | None]]:
    wanted, read = given
    return f"{wanted}, or nothing", lambda text: read(text) if text else None


def _limits(text: str) -> dict[str, Any]:
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    changed = {name.strip(): _LIMIT_TYPES[name.strip()](value) for name, _, value in pairs}
    if not all(0 < value < float("inf") for value in changed.values()):
        raise ValueError(text)
    return changed


# Those that have no setting of their own.
_LIMIT_TYPES: dict[str, type[int] | type[float]] = {
    name: kind
    for name, kind in Limits.__annotations__.items()
    if kind in (int, float) and name not in ("connections", "connections_per_user", "heartbeat_s")
    if name not in ("connections_per_address", "connects_per_address_s", "connect_burst")
}


def _flag(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}[text.lower()]


def _text(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError(text)
    return text


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    if not all(origin == "*" or origin.startswith(("http://", "https://")) for origin in origins):
        raise ValueError(text)
    return origins


def _pem(text: str) -> str:
    if not text or text.startswith("-----BEGIN"):
        # Where a variable holds one line, line ends are written as \\n.
        return text.replace("\\n", "\n")
    try:
        return Path(text).read_text(encoding="ascii")
    except OSError as error:
        raise ValueError(text) from error


def _key_url(text: str) -> str:
    parts = urlsplit(text)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if text and not (is_safe and parts.hostname):
        raise ValueError(text)
    return text


def _exact_origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.lower() for origin in _origins(text))
    if "*" in origins:
        raise ValueError(text)
    return origins


OPTIONS: dict[str, Option] = {
    "host": Option("address to listen on", "a host name or address", _text),
    "port": Option("port to listen on; 0 takes a free one", *_whole(0, 65535)),
    "metrics_port": Option("port of its own for /metrics; empty: the same port", *_optional(_whole(0, 65535))),
    "database": Option(f"the SQLite file, or {MEMORY}", "a path", _text),
    "feeds": Option("path of feeds.toml; empty: no feeds are read", "a path", str),
    "sample_wire": Option("play the bundled sample wire", "0 or 1", _flag),
    "allow_anonymous": Option("serve others than this machine without tokens", "0 or 1", _flag),
    "cors_origins": Option("origins that may use the REST API, or *", "http(s) origins, parted by commas", _origins),
    "allowed_origins": Option(
        "origins whose pages may open WebSockets; empty: those of this machine",
        "http(s) origins, parted by commas; each page's own, so no *",
        _exact_origins,
    ),
    "jwt_secret": Option("secret of 32 bytes or more that tokens are signed with (HS256)", "text", str),
    "jwt_public_key": Option(
        "key that tokens are checked with (RS256, ES256, EdDSA): PEM, or the path of a file", "a public key", _pem
    ),
    "jwks_url": Option("address that publishes the keys that tokens are checked with", "an https address", _key_url),
    "jwt_audience": Option("what a token's aud has to name; empty: a token has none", "text", str),
    "jwt_issuer": Option("what a token's iss has to be; empty: anything", "text", str),
    "token_in_query": Option("take a socket's token as ?token= too: it will stand in logs", "0 or 1", _flag),
    "connection_policy": Option(
        "several connections a user, or one that the next one replaces",
        "several or one",
        lambda text: ConnectionPolicy(text.lower()),
    ),
    "max_connections": Option("WebSocket connections at once", *_whole(1, 1_000_000)),
    "max_connections_per_user": Option("WebSocket connections at once of one user", *_whole(1, 10_000)),
    "max_connections_per_ip": Option(
        "WebSocket connections at once of one address; empty: 100, and any number from this machine",
        *_optional(_whole(1, 1_000_000)),
    ),
    "connect_rate_per_ip": Option(
        "connections a second of one address, three times as many at once; empty: 10, and any number from this machine",
        *_optional(_number(0.01, 100_000)),
    ),
    "trusted_proxies": Option(
        "proxies whose X-Forwarded-For is believed", "addresses or networks, parted by commas", _networks
    ),
    "heartbeat_s": Option("seconds between heartbeats", *_number(1, 3600)),
    "limits": Option(
        "other limits than the usual ones", "name=number, parted by commas; the names of GET /api/v1/limits", _limits
    ),
    "retention_days": Option("days that items are kept", *_number(0.01, 3650)),
    "log_level": Option(
        "least severe event to log", "debug, info, warning or error", lambda text: LogLevel(text.lower())
    ),
    "log_format": Option("how a log line looks", "json or console", lambda text: LogFormat(text.lower())),
    "revision": Option("what news_build_info shows as the revision", "text", str),
}

# Promised names whose feature is not in this release. Ignoring one of these would leave data elsewhere than told, so
# the server refuses to start.
_NOT_YET = ("NATS_URL",)
_KEYS = ("jwt_secret", "jwt_public_key", "jwks_url")


def read_settings(environment: Mapping[str, str], given: Mapping[str, str]) -> Settings:
    """Read the settings from NEWS_* variables and, before them, from what the command line gave. Raises BadSetting."""
    _refuse_what_is_missing(environment)
    values: dict[str, object] = {}
    for name, option in OPTIONS.items():
        text = given.get(name, environment.get(PREFIX + name.upper()))
        if text is not None:
            values[name] = _read(name, option, text)
    settings = msgspec.convert(values, Settings)
    _check_identity(settings)
    if settings.metrics_port == settings.port != 0:
        raise InvalidSetting("metrics_port", str(settings.metrics_port), "another port than NEWS_PORT, or nothing")
    return settings


def _check_identity(settings: Settings) -> None:
    """Refuse what would leave a door open that its operator believes closed. Raises BadSetting."""
    keys = [name for name in _KEYS if getattr(settings, name)]
    if len(keys) > 1:
        raise InvalidSetting(keys[1], "…", f"it unset beside {PREFIX}{keys[0].upper()}: one key, or one set of keys")
    for name in ("jwt_audience", "jwt_issuer", "token_in_query"):
        if getattr(settings, name) and not keys:
            raise InvalidSetting(name, "…", f"one of {', '.join(PREFIX + key.upper() for key in _KEYS)} beside it")
    if keys and settings.allow_anonymous:
        raise InvalidSetting("allow_anonymous", "1", "it unset where tokens are asked for")
    if not keys and not settings.allow_anonymous and not is_loopback(settings.host):
        wanted = "a loopback address, a key to check tokens with, or NEWS_ALLOW_ANONYMOUS=1 to serve others without"
        raise InvalidSetting("host", settings.host, wanted)


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Name the NEWS_* variables that nothing reads."""
    known = {PREFIX + name.upper() for name in OPTIONS} | {f"{PREFIX}{name}" for name in ("ENGINE", "URL", "TOKEN")}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _read(name: str, option: Option, text: str) -> object:
    try:
        return option.read(text.strip())
    except (ValueError, KeyError):
        raise InvalidSetting(name, text, option.wanted) from None


def _refuse_what_is_missing(environment: Mapping[str, str]) -> None:
    for name in _NOT_YET:
        if environment.get(PREFIX + name):
            raise InvalidSetting(name, "…", "it unset: this release does not have that feature")
    engine = environment.get(f"{PREFIX}ENGINE", "sqlite")
    if engine != "sqlite":
        raise InvalidSetting("engine", engine, "sqlite")


def is_loopback(host: str) -> bool:
    """Say whether a name or an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
