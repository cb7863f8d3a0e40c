"""TLS on both sides: our own CA towards clients, one trust per world towards servers.

A drill's connection trusts its target's `ca` and nothing else, so that even a connection led to production
by every other mistake would end before a byte of HTTP (LEAKS S1). No client certificate is ever sent.
"""

from __future__ import annotations

import fcntl
import ssl
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from mitmproxy import certs, connection, tls
from mitmproxy.addons import tlsconfig
from mitmproxy.proxy import context
from OpenSSL import SSL

from addons.current import Current
from addons.dial import Dial
from switchboard.switch import parse_address

BASENAME = "hms-esr"


class WrongProtocol(Exception):
    """A server speaks another protocol than its route says: the connection ends."""


def prepare_ca(state: Path) -> Path:
    """Make the product's own CA where there is none, once for all processes; return its certificate's path."""
    folder = state / "ca"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        certs.CertStore.from_store(folder, BASENAME, 2048)
    return folder / f"{BASENAME}-ca-cert.pem"


@lru_cache(64)
def _context(ca: str | None) -> SSL.Context:
    """Return a client context that trusts `ca` only; None: the system's certificates."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_verify(SSL.VERIFY_PEER, None)
    if ca is None:
        paths = ssl.get_default_verify_paths()
        context.load_verify_locations(paths.cafile or paths.openssl_cafile, paths.capath)
    else:
        context.load_verify_locations(ca, None)
    return context


class Trust(tlsconfig.TlsConfig):
    """mitmproxy's certificates for clients; contexts of our own for servers."""

    def __init__(self, current: Current, dial: Dial, *, state: Path) -> None:
        self._current = current
        self._dial = dial
        self._folder = state / "ca"
        self._loaded = False

    def configure(self, updated: Iterable[str]) -> None:
        """Load our own CA instead of mitmproxy's."""
        if not self._loaded:
            prepare_ca(self._folder.parent)
            self.certstore = certs.CertStore.from_store(self._folder, BASENAME, 2048)
            self._loaded = True

    def running(self) -> None:
        """Nothing: the certificates are there since `configure`."""

    def get_cert(self, conn_context: context.Context) -> certs.CertStoreEntry:
        """Return a certificate for the one name the client asked for, so that no other host coalesces on it."""
        client = conn_context.client
        name = tlsconfig._ip_or_dns_name(client.sni or client.sockname[0])
        return self.certstore.get_cert(str(name.value), [name], None)

    def tls_start_server(self, start: tls.TlsData) -> None:
        """Give the context of the world the connection was allowed for; without one TLS fails."""
        start.ssl_conn = None
        assert isinstance(start.conn, connection.Server)
        pin = self._dial.pins[start.conn.id]
        name = pin.asked[0]
        session = SSL.Connection(_context(self._ca(pin.plan.live, pin.plan.sandbox)))
        _verify_name(session, name)
        offers = self._alpn(start.context.client, h2=pin.plan.h2)
        if offers:
            start.conn.alpn_offers = offers
            session.set_alpn_protos(list(offers))
        start.conn.sni = name
        session.set_connect_state()
        start.ssl_conn = session

    def tls_established_server(self, data: tls.TlsData) -> None:
        """Refuse a server that does not speak HTTP/2 where its route says so; raises WrongProtocol.

        Bodies go there without a length, and HTTP/1 would take them for further requests (LEAKS HT-03).
        """
        if self._dial.pins[data.conn.id].plan.h2 and data.conn.alpn != b"h2":
            raise WrongProtocol("target does not speak HTTP/2")

    def _ca(self, live: bool, sandbox: str | None) -> str | None:
        estate = self._current.switch.estate
        if live:
            ca = estate.production.ca
        elif sandbox is None:
            return None
        else:
            ca = estate.targets[sandbox].ca
            if ca is None:
                raise ValueError("https to a target without a ca")  # estate_checks refuses such a file
        return str(ca) if ca is not None else None

    @staticmethod
    def _alpn(client: connection.Client, *, h2: bool | None) -> tuple[bytes, ...]:
        if h2 is None:
            return tuple(offer for offer in client.alpn_offers if offer in (b"h2", b"http/1.1", b"http/1.0"))
        return (b"h2",) if h2 else (b"http/1.1",)


def _verify_name(session: SSL.Connection, name: str) -> None:
    """Send the name as SNI and let OpenSSL compare it with the certificate (pyOpenSSL has no call for it)."""
    lib: Any = SSL._lib  # type: ignore[attr-defined]
    param = lib.SSL_get0_param(session._ssl)
    address = parse_address(name)
    if address is not None:
        ok = lib.X509_VERIFY_PARAM_set1_ip(param, address.packed, len(address.packed))
    else:
        host = name.encode("ascii")
        session.set_tlsext_host_name(host)
        lib.X509_VERIFY_PARAM_set_hostflags(param, tlsconfig.DEFAULT_HOSTFLAGS)
        ok = lib.X509_VERIFY_PARAM_set1_host(param, host, len(host))
    if ok != 1:
        raise ValueError("name cannot be verified")
