"""The steered door: names resolve to us, SNI and Host decide where a connection leads."""

from __future__ import annotations

from typing import ClassVar

from mitmproxy.proxy import layer, mode_specs


class SteeredMode(mode_specs.ProxyMode):
    """Names resolve to us; SNI and Host decide. There is nothing to configure in the mode itself."""

    description: ClassVar[str] = "steered proxy"
    transport_protocol = mode_specs.TCP

    def __post_init__(self) -> None:
        if self.data:
            raise ValueError("steered mode takes no argument")


class Steered(layer.Layer):
    """Top layer of a `steered@` connection: the destination is read from what the client says first."""

    def _handle_event(self, event: object) -> layer.CommandGenerator[None]:
        child = layer.NextLayer(self.context)
        self._handle_event = child.handle_event  # type: ignore[method-assign, assignment]
        yield from child.handle_event(event)  # type: ignore[arg-type]
