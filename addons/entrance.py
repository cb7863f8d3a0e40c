"""Who may come in, who is tunnelled unread, and what protocol is read.

Clients in no cohort are tunnelled: their bytes pass as they are, TLS included. Members of a cohort are always
read, so that an edge is believed without a reconnection of theirs. Only HTTP/1, HTTP/2 and TLS are read; a
member inside a drill who speaks anything else is refused.
"""

from __future__ import annotations

import re

from mitmproxy import connection
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import commands, events, layer, layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.tls import parse_client_hello

from addons.bounds import CHUNK_TOO_LONG, HEAD_TOO_LONG
from addons.crowd import Crowd
from addons.current import Current
from addons.handler import HOLDS_TOO_MUCH, TOO_SLOW
from addons.login import Logins
from addons.reading import HttpReader
from addons.steered import Steered
from addons.witness import Witness
from switchboard.authority import Unclear, parse_authority, parse_host

_MOST_PEEKED = 64 * 1024
_MOST_PIECES = 256  # each piece of an undecided beginning is looked at again with every further one
_CUT = frozenset({CHUNK_TOO_LONG, HEAD_TOO_LONG, HOLDS_TOO_MUCH, TOO_SLOW})
_HOST = re.compile(rb"\r?\nhost:[ \t]*([^\r\n]*?)[ \t]*\r?\n", re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_HTTP = re.compile(rb"[A-Za-z]{3,20} ")
# Where a connection leads until its first request says so; no name below .invalid can be dialled (RFC 6761).
NOWHERE = "steered.invalid"


class Refuse(layer.Layer):
    """Close the client's connection and read nothing more."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            yield commands.CloseConnection(self.context.client)


class Entrance:
    """`crowd` counts the connections of each client, default at most 2,000."""

    def __init__(self, current: Current, logins: Logins, witness: Witness, *, crowd: Crowd | None = None) -> None:
        self._current = current
        self._logins = logins
        self._witness = witness
        self._crowd = crowd or Crowd()

    def client_connected(self, client: connection.Client) -> None:
        """Refuse whoever is not among the estate's clients; denies first, allows last."""
        client.error = "denied: not yet decided"
        if not client.peername or not self._current.switch.serves(client.peername[0]):
            self._witness.refused("client is not among the estate's clients")
            return
        if not self._crowd.admit(client.id, client.peername[0]):
            self._witness.refused("client has too many connections")
            return
        client.error = None

    def client_disconnected(self, client: connection.Client) -> None:
        self._crowd.leave(client.id)
        self._logins.forget(client.id)
        if client.error in _CUT:
            self._witness.refused(client.error)

    def next_layer(self, pending: layer.NextLayer) -> None:
        """Choose the layer that reads a connection, or leave it open until enough bytes have come."""
        context, data = pending.context, pending.data_client()
        if len(context.layers) == 1 and isinstance(context.layers[0], modes.HttpProxy):
            pending.layer = HttpReader(context, HTTPMode.regular, is_unread=lambda client: not self._is_read(client))
        elif len(context.layers) == 1 and isinstance(context.layers[0], Steered):
            pending.layer = self._steered(context, data)
        elif isinstance(context.layers[-1], layers.ClientTLSLayer):
            pending.layer = HttpReader(context, HTTPMode.transparent)
        else:
            pending.layer = self._tunnelled(context, data)
        if pending.layer is None and len(pending.events) > _MOST_PIECES:
            pending.layer = Refuse(context)

    def _is_read(self, client: connection.Client) -> bool:
        user = self._logins.user_behind(client.id)
        return self._current.switch.is_watched(client.peername[0], user)

    def _tunnelled(self, context: Context, data: bytes) -> layer.Layer | None:
        """Inside a CONNECT."""
        if not self._is_read(context.client):
            return layers.TCPLayer(context, ignore=True)
        if len(data) < 3:
            return None
        if starts_like_tls_record(data):
            return self._tls(context, data)
        return self._plain(context, data)

    def _tls(self, context: Context, data: bytes) -> layer.Layer | None:
        """Read TLS once its hello is whole; mitmproxy would wait for 16 MiB of it."""
        try:
            if parse_client_hello(data) is None and len(data) < _MOST_PEEKED:
                return None
        except ValueError:
            pass  # mitmproxy tells the client
        else:
            if len(data) >= _MOST_PEEKED:
                return Refuse(context)
        return layers.ClientTLSLayer(context)

    def _plain(self, context: Context, data: bytes) -> layer.Layer:
        if _HTTP.match(data) or data.startswith(b"PRI "):
            return HttpReader(context, HTTPMode.transparent)
        client = context.client
        member = self._current.switch.member(client.peername[0], self._logins.user_behind(client.id))
        if member is None:
            return layers.TCPLayer(context, ignore=True)
        self._witness.blocked(member.drill.id if member.drill else None, "protocol cannot be read")
        return Refuse(context)

    def _steered(self, context: Context, data: bytes) -> layer.Layer | None:
        if not data or (data[0] == 0x16 and len(data) < 3):
            return None
        if starts_like_tls_record(data):
            return self._steered_tls(context, data)
        return self._steered_plain(context, data)

    def _steered_tls(self, context: Context, data: bytes) -> layer.Layer | None:
        try:
            hello = parse_client_hello(data)
        except ValueError:
            return Refuse(context)
        if hello is None:
            return None if len(data) < _MOST_PEEKED else Refuse(context)
        context.server.address = (hello.sni or NOWHERE, 443)
        if self._is_read(context.client):
            return layers.ClientTLSLayer(context)
        try:
            parse_host(hello.sni or "")
        except Unclear:
            return Refuse(context)
        return layers.TCPLayer(context, ignore=True)

    def _steered_plain(self, context: Context, data: bytes) -> layer.Layer | None:
        if self._is_read(context.client):
            context.server.address = (NOWHERE, 80)
            return self._plain(context, data)
        found = _HOST.search(data)
        if found is None:
            complete = _HEAD_END.search(data) or len(data) >= _MOST_PEEKED
            return Refuse(context) if complete else None
        try:
            context.server.address = parse_authority(found.group(1).decode("ascii", "replace"), "http")
        except Unclear:
            return Refuse(context)
        return layers.TCPLayer(context, ignore=True)
