"""What the clients know of the server: its address, and how it describes an error."""

import os
from urllib.parse import urlsplit

import msgspec

MUST_BE_ADDRESS = "must be an http or https address, for example http://127.0.0.1:8000"


def check_address(text: str) -> str:
    """Return the address of a server without a slash at its end. Raises ValueError if it is not an http or https URL
    with a host.
    """
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError(f"{text!r} {MUST_BE_ADDRESS}")
    return text.rstrip("/")


def describe_refusal(status: int, body: bytes) -> str:
    """Return the text of an error response: its status and detail, and one line for each wrong field. If the body is
    not the problem+json of this server, return its beginning.
    """
    try:
        problem = msgspec.json.decode(body)
        lines = [f"  {bad['pointer'] or 'the whole body'}: {bad['detail']}" for bad in problem.get("errors", [])]
        return "\n".join([f"{status} {problem['detail']}", *lines])
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return f"{status} {body[:200].decode(errors='replace')}"


def describe_failure(error: BaseException) -> str:
    """Return in words why a server could not be reached: the system's reason if there is one, such as "Connection
    refused".
    """
    cause = getattr(error, "os_error", error)
    number = getattr(cause, "errno", None)
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(cause) or type(cause).__name__
