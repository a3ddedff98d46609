"""Tell systemd how far the server is (Type=notify): sd_notify(3), a datagram to the socket that it names."""

import os
import socket
from collections.abc import Mapping


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send a state such as `READY=1` to the service manager, if the process was started by one that asks for it. An
    error is ignored: the server must not depend on who started it.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # A name that begins with @ is in Linux' abstract namespace, which is written with a null byte.
    path = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(state.encode(), path)
    except OSError:
        pass
