"""The options of the server: the meaning and the parser of every setting, by its name."""

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from app.core.validation import addresses
from app.core.validation.limit_overrides import parse_limit_overrides
from app.core.validation.values import Value, flag, integer, number, one_of, optional

PREFIX = "NEWS_"
MEMORY = ":memory:"
SAMPLE_DATABASE = "sample.db"

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
    """How trusted proxies name the client: in one of two HTTP headers, or before the first byte of a connection (the
    PROXY protocol).
    """

    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"
    PROXY_PROTOCOL = "proxy-protocol"


class ConnectionPolicy(StrEnum):
    """How many connections a user may have. `several`: up to `max_connections_per_user`. `one`: a new connection
    replaces the old one.
    """

    SEVERAL = "several"
    ONE = "one"


class Option(NamedTuple):
    """The description and the parser of one setting. `help` is its description in `--help`, and `value` checks and
    converts the text of its variable or argument. A setting that is `only_as_variable` has no argument, because every
    user of the machine can see the arguments of a process.
    """

    help: str
    value: Value
    only_as_variable: bool = False


class InvalidSetting(ValueError):
    """A setting has a value that cannot be used. The message names the variable, or the configuration file at `path`
    and the key in it, the value (masked if it is secret) and what it must be.
    """

    def __init__(self, name: str, value: str, detail: str, path: str = "") -> None:
        shown = repr(value) if name not in SECRETS else "…"
        is_unset = name in SECRETS and not value
        where = f"{path}: {name}" if path else variable(name)
        super().__init__(f"{where}: {detail}" if is_unset else f"{where}={shown}: {detail}")


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
    "config": Option("path of a TOML file with settings, which options and variables override", Value("a path", str)),
    "host": Option("address to listen on", Value("a host name or an IP address", _non_empty)),
    "port": Option("port to listen on; 0 chooses a free port", integer(0, 65535)),
    "metrics_port": Option("separate port for /metrics; empty: the same port", optional(integer(0, 65535))),
    "database": Option(f"path of the SQLite file, or {MEMORY}; {SAMPLE_DATABASE} with the sample wire", _PATH),
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
