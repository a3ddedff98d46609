"""The settings of the server: their types and defaults, and how they are read and checked."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from app.config_file import read_config_file
from app.core.validation import addresses
from app.core.validation.values import InvalidValue, Value, did_you_mean
from app.options import (
    OPTIONS,
    PREFIX,
    SAMPLE_DATABASE,
    ConnectionPolicy,
    InvalidSetting,
    LogFormat,
    LogLevel,
    ProxyHeader,
    variable,
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one server, which `read_settings` creates and validates. `OPTIONS` explains each of them under
    the same name.
    """

    config: str = ""
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


# Variables, without their prefix, of features that were announced but are not in this release. If the server ignored
# such a variable, it would store data in another place than the operator expects. So it refuses to start.
_NOT_AVAILABLE = ("NATS_URL",)
_KEYS = ("jwt_secret", "jwt_public_key", "jwks_url")


def read_settings(environment: Mapping[str, str], arguments: Mapping[str, str]) -> Settings:
    """Return the settings from command-line arguments, NEWS_* variables and the configuration file that one of these
    names. An argument overrides a variable, and both override the file; of the limits, those with the same name. Raises
    InvalidSetting.
    """
    _refuse_unavailable(environment)
    path = arguments.get("config", environment.get(variable("config"), ""))
    in_file = read_config_file(path) if path else {}
    values: dict[str, object] = {}
    for name, option in OPTIONS.items():
        text = arguments.get(name, environment.get(variable(name)))
        if text is not None:
            values[name] = _parse(name, option.value, text)
        elif name in in_file:
            values[name] = _parse(name, option.value, in_file[name], path)
    if values.get("limits") and "limits" in in_file:
        values["limits"] = _merged_limits(in_file["limits"], values["limits"], path)
    if values.get("sample_wire"):
        # Sample news must never be written among a user's own.
        values.setdefault("database", SAMPLE_DATABASE)
    settings = _with_secret(msgspec.convert(values, Settings))
    _check_identity(settings)
    if settings.metrics_port == settings.port != 0:
        raise InvalidSetting(
            "metrics_port", str(settings.metrics_port), f"must differ from {variable('port')}, or be empty"
        )
    return settings


def _merged_limits(in_file: str, chosen: object, path: str) -> object:
    limits = _parse("limits", OPTIONS["limits"].value, in_file, path)
    return limits | chosen if isinstance(limits, dict) and isinstance(chosen, dict) else chosen


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


def _parse(name: str, value: Value, text: str, path: str = "") -> object:
    try:
        return value.parse(text.strip())
    except InvalidValue as error:
        raise InvalidSetting(name, text, str(error), path) from None


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
