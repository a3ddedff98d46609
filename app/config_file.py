"""Read the configuration file: TOML, with the settings under their names without `NEWS_` and in lower case, and limits
in tables such as `[limits.messages]`.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from app.core.validation.values import did_you_mean
from app.options import OPTIONS, InvalidSetting


def read_config_file(path: str) -> dict[str, str]:
    """Return the text of each setting in a configuration file, as its variable would have it.

    Raises InvalidSetting if the file cannot be read, is not TOML, or has a key or a value that no setting has.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSetting("config", path, f"must be a readable TOML file: {error}") from error
    known = [name for name in OPTIONS if name != "config"]
    for name in document:
        if name not in known:
            raise InvalidSetting(name, "…", f"is not a setting{did_you_mean(name, known)}", path)
    return {name: _text(name, value, path) for name, value in document.items()}


def _text(name: str, value: object, path: str) -> str:
    if name == "limits":
        return ",".join(f"{limit}={number}" for limit, number in _limits(value, path).items())
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    return _scalar(name, value, path)


def _limits(value: object, path: str) -> Mapping[str, str]:
    """Return the text of each limit by `group.name`. Raises InvalidSetting for anything but a table of tables."""
    limits: dict[str, str] = {}
    for group, names in value.items() if isinstance(value, dict) else [("", value)]:
        if not isinstance(names, dict):
            raise InvalidSetting("limits", str(value), "must be tables such as [limits.messages]", path)
        limits |= {f"{group}.{name}": _scalar(f"limits.{group}.{name}", one, path) for name, one in names.items()}
    return limits


def _scalar(name: str, value: object, path: str) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise InvalidSetting(name, str(value), "must be a text, a number, true, false, or a list of texts", path)
