"""Ports of the estate's listeners, tried and chosen before any process starts."""

from __future__ import annotations

import socket

from switchboard.errors import Unavailable
from switchboard.estate import Listener, Listeners


def chosen(listeners: Listeners) -> Listeners:
    """Return the listeners with a free port for every 0; raises Unavailable for a port in use.

    Workers share a port with SO_REUSEPORT, which another instance of ours could do as well without noticing.
    So each port is first bound alone.
    """
    proxy = tuple(_free(door, key="listeners.proxy") for door in listeners.proxy)
    return listeners.model_copy(update={"proxy": proxy, "admin": _free(listeners.admin, key="listeners.admin")})


def _free(listener: Listener, *, key: str) -> Listener:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.host, listener.port))
            probe.listen(1)
        except OSError as error:
            raise Unavailable(
                f"{key}: {listener} cannot be used ({error.strerror}); stop what uses it or choose another port",
                code="port_in_use",
            ) from error
        return listener.model_copy(update={"port": probe.getsockname()[1]})
