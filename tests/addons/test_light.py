from __future__ import annotations

from mitmproxy import http, options
from mitmproxy.test import tflow

from addons import doors  # noqa: F401  it takes the type checks off
from addons.light import LightContext, settled


def test_settled_options_read_like_those_they_were_made_of() -> None:
    opts = options.Options()
    opts.update(rawtcp=True, ignore_hosts=["a"])
    plain = settled(opts)
    assert {name: getattr(plain, name) for name in opts.keys()} == {name: getattr(opts, name) for name in opts.keys()}  # noqa: SIM118
    assert getattr(plain, "no_such_option", None) is None


def test_settled_options_do_not_follow_a_later_change() -> None:
    opts = options.Options()
    plain = settled(opts)
    opts.update(rawtcp=not opts.rawtcp)
    assert plain.rawtcp != opts.rawtcp


def test_a_fork_shares_the_connections_and_has_layers_of_its_own() -> None:
    context = LightContext(tflow.tclient_conn(), options.Options())
    fork = context.fork()
    assert (fork.client, fork.server, fork.options) == (context.client, context.server, context.options)
    fork.server = tflow.tserver_conn()
    fork.layers.append(object())  # type: ignore[arg-type]
    assert context.server is not fork.server
    assert context.layers == []
    assert type(fork.fork()) is LightContext


def test_messages_are_still_made_and_copied_without_type_checks() -> None:
    request = http.Request.make("GET", "http://www.cms.example/", headers=[(b"A", b"b")])
    assert request.copy().headers.fields == request.headers.fields
