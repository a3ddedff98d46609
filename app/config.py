"""The settings of the server: name, default, meaning and validation of its NEWS_* environment variables."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.core.validation import addresses
from app.core.validation.limit_overrides import parse_limit_overrides
from app.core.validation.values import (
    InvalidValue,
    Value,
    did_you_mean,
    flag,
    integer,
    number,
    one_of,
    optional,
)

PREFIX = "NEWS_"
MEMORY = ":memory:"

SECRETS = ("jwt_secret",)
"""Settings whose values are masked in error messages and by `--print-config`."""


class LogLevel(StrEnum):
    """The lowest severity of the events that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """The format of log lines: `json` is one JSON object a line, `console` is text for people."""

    JSON = "json"
    CONSOLE = "console"


class ProxyHeader(StrEnum):
    """The header in which trusted proxies name the client."""

    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"


class ConnectionPolicy(StrEnum):
    """How many connections a user may have. `several`: up to `max_connections_per_user`. `one`: a new connection
    replaces the old one.
    """

    SEVERAL = "several"
    ONE = "one"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one server, which `read_settings` creates and validates. `OPTIONS` explains each of them under
    the same name.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    metrics_port: int | None = None
    database: str = "news.db"
    feeds: str = ""
    sample_wire: bool = False
    allow_anonymous: bool = False
    cors_origins: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    jwt_secret: str = ""
    jwt_secret_file: str = ""
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
    proxy_header: ProxyHeader = ProxyHeader.X_FORWARDED_FOR
    heartbeat_s: float = 15.0
    retention_days: float = 7.0
    limits: dict[str, float] = {}
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.JSON
    revision: str = ""

    @property
    def serves_only_this_machine(self) -> bool:
        """Return whether the server requires no tokens because it listens on a loopback address only."""
        return not (self.allow_anonymous or any(getattr(self, name) for name in _KEYS))


class InvalidSetting(ValueError):
    """A setting has a value that cannot be used. The message names the variable, its value (masked if it is secret) and
    what it must be.
    """

    def __init__(self, name: str, value: str, detail: str) -> None:
        shown = repr(value) if name not in SECRETS else "…"
        is_unset = name in SECRETS and not value
        super().__init__(f"{variable(name)}: {detail}" if is_unset else f"{variable(name)}={shown}: {detail}")


class Option(NamedTuple):
    """The description and the parser of one setting. `help` is its description in `--help`, and `value` checks and
    converts the text of its variable or argument. A setting that is `only_as_variable` has no argument, because every
    user of the machine can see the arguments of a process.
    """

    help: str
    value: Value
    only_as_variable: bool = False


def variable(name: str) -> str:
    """Return the name of the environment variable of a setting: `NEWS_PORT` for `port`."""
    return PREFIX + name.upper()


def _non_empty(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError(text)
    return text


def _pem(text: str) -> str:
    if not text or text.startswith("-----BEGIN"):
        # Some tools allow only one line in a variable, so a line end may be written as a backslash and an n.
        return text.replace("\\n", "\n")
    try:
        return Path(text).read_text(encoding="ascii")
    except OSError as error:
        raise ValueError(text) from error


_PATH = Value("a path", _non_empty)
_TEXT = Value("text", str)

OPTIONS: dict[str, Option] = {
    "host": Option("address to listen on", Value("a host name or an IP address", _non_empty)),
    "port": Option("port to listen on; 0 chooses a free port", integer(0, 65535)),
    "metrics_port": Option("separate port for /metrics; empty: the same port", optional(integer(0, 65535))),
    "database": Option(f"path of the SQLite file, or {MEMORY}", _PATH),
    "feeds": Option("path of feeds.toml; empty: no feeds are polled", Value("a path", str)),
    "sample_wire": Option("play the bundled sample wire", flag()),
    "allow_anonymous": Option("serve other machines without tokens", flag()),
    "cors_origins": Option(
        "origins that may use the REST API, or *",
        Value("http(s) origins, separated by commas, or *", addresses.parse_origins),
    ),
    "allowed_origins": Option(
        "origins whose pages may open WebSockets; empty: those of this machine",
        Value(
            "exact http(s) origins, those of another scheme, or null, separated by commas; a path or * is not allowed",
            addresses.parse_exact_origins,
        ),
    ),
    "allowed_hosts": Option(
        "host names that requests may be sent to, beside IP addresses and localhost; empty: any, but none on this"
        " machine without tokens",
        Value("host names without ports, separated by commas", addresses.parse_hosts),
    ),
    "jwt_secret": Option(
        "secret of at least 32 bytes that tokens are signed with (HS256)", _TEXT, only_as_variable=True
    ),
    "jwt_secret_file": Option("path of a file that contains that secret", Value("a path", str)),
    "jwt_public_key": Option(
        "public key that tokens are verified with (RS256, ES256, EdDSA): PEM, or the path of a PEM file",
        Value("a public key in PEM, or the path of a file that holds one", _pem),
    ),
    "jwks_url": Option(
        "URL of a JSON Web Key Set that tokens are verified with",
        Value("an https URL with a host", addresses.parse_safe_url),
    ),
    "jwt_audience": Option("audience that a token must name in aud; empty: a token must have none", _TEXT),
    "jwt_issuer": Option("issuer that a token must name in iss; empty: any", _TEXT),
    "token_in_query": Option("accept a WebSocket's token as ?token= too: it will appear in access logs", flag()),
    "connection_policy": Option(
        "several connections for each user, or one that the next one replaces", one_of(ConnectionPolicy)
    ),
    "max_connections": Option("maximum number of WebSocket connections", integer(1, 1_000_000)),
    "max_connections_per_user": Option("maximum number of WebSocket connections of one user", integer(1, 10_000)),
    "max_connections_per_ip": Option(
        "maximum number of WebSocket connections from one address; empty: 100, and no limit for this machine",
        optional(integer(1, 1_000_000)),
    ),
    "connect_rate_per_ip": Option(
        "new connections a second from one address, with a burst of three times as many; empty: 10, and no limit for"
        " this machine",
        optional(number(0.01, 100_000)),
    ),
    "trusted_proxies": Option(
        "proxies whose header names the client",
        Value("IP addresses or networks, separated by commas", addresses.parse_networks),
    ),
    "proxy_header": Option("the one header of trusted proxies that names the client", one_of(ProxyHeader)),
    "heartbeat_s": Option("seconds of silence after which a client is pinged", number(1, 3600)),
    "limits": Option(
        "other values for the limits that GET /api/v1/limits lists",
        Value("group.name=value, separated by commas", parse_limit_overrides),
    ),
    "retention_days": Option("days that items are kept", number(0.01, 3650)),
    "log_level": Option("least severe event to log", one_of(LogLevel)),
    "log_format": Option("format of a log line", one_of(LogFormat)),
    "revision": Option("revision that news_build_info shows", _TEXT),
}

# Variables, without their prefix, of features that were announced but are not in this release. If the server ignored
# such a variable, it would store data in another place than the operator expects. So it refuses to start.
_NOT_AVAILABLE = ("NATS_URL",)
_KEYS = ("jwt_secret", "jwt_public_key", "jwks_url")


def read_settings(environment: Mapping[str, str], arguments: Mapping[str, str]) -> Settings:
    """Return the settings from NEWS_* variables and command-line arguments; an argument overrides its variable. Raises
    InvalidSetting.
    """
    _refuse_unavailable(environment)
    values: dict[str, object] = {}
    for name, option in OPTIONS.items():
        text = arguments.get(name, environment.get(variable(name)))
        if text is not None:
            values[name] = _parse(name, option.value, text)
    settings = _with_secret(msgspec.convert(values, Settings))
    _check_identity(settings)
    if settings.metrics_port == settings.port != 0:
        raise InvalidSetting(
            "metrics_port", str(settings.metrics_port), f"must differ from {variable('port')}, or be empty"
        )
    return settings


def _with_secret(settings: Settings) -> Settings:
    """Return the settings with the secret from its file, if one is named. Raises InvalidSetting if the file cannot be
    read, or the secret is set twice.
    """
    path = settings.jwt_secret_file
    if not path:
        return settings
    if settings.jwt_secret:
        raise InvalidSetting("jwt_secret_file", path, f"must be unset, because {variable('jwt_secret')} is set")
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting("jwt_secret_file", path, f"must be a readable text file: {error}") from error
    return msgspec.structs.replace(settings, jwt_secret=secret)


def _parse(name: str, value: Value, text: str) -> object:
    try:
        return value.parse(text.strip())
    except InvalidValue as error:
        raise InvalidSetting(name, text, str(error)) from None


def _check_identity(settings: Settings) -> None:
    """Check the settings for tokens and anonymous access. Raises InvalidSetting if they contradict each other, or if
    callers on other machines would need no token although `allow_anonymous` is not set.
    """
    keys = [name for name in _KEYS if getattr(settings, name)]
    if len(keys) > 1:
        raise InvalidSetting(keys[1], "…", f"must be unset, because {variable(keys[0])} is set: only one may be")
    for name in ("jwt_audience", "jwt_issuer", "token_in_query"):
        if getattr(settings, name) and not keys:
            raise InvalidSetting(name, "…", f"must be set together with one of {', '.join(map(variable, _KEYS))}")
    if keys and settings.allow_anonymous:
        raise InvalidSetting("allow_anonymous", "1", f"must be 0, because {variable(keys[0])} is set")
    if not keys and not settings.allow_anonymous and not addresses.is_loopback(settings.host):
        detail = "must be a loopback address, unless tokens are required or NEWS_ALLOW_ANONYMOUS=1 is set"
        raise InvalidSetting("host", settings.host, detail)


def unknown_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the names of the NEWS_* variables that neither the server nor a command reads, in alphabetical order, each
    with ` (did you mean "…"?)` if it is similar to a known one.
    """
    known = {variable(name) for name in OPTIONS} | {f"{PREFIX}{name}" for name in ("ENGINE", "URL", "TOKEN")}
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return {name: did_you_mean(name, sorted(known)) for name in unknown}


def _refuse_unavailable(environment: Mapping[str, str]) -> None:
    for name in _NOT_AVAILABLE:
        if environment.get(PREFIX + name):
            raise InvalidSetting(name, "…", "must be unset: this release does not have that feature")
    engine = environment.get(f"{PREFIX}ENGINE", "sqlite")
    if engine != "sqlite":
        raise InvalidSetting("engine", engine, "must be sqlite")
