"""What the keys of a credential mean together: each place has what it needs, and no place has two rules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from switchboard.credential_rules import IN_ANSWERS
from switchboard.estate import Credential, Learn, Secret, Target
from switchboard.json_spans import is_pointer
from switchboard.twins import fold, twin_flaw
from switchboard.yaml_lines import Finding, Loc, shorten

# RFC 9110 5.6.2 token; also what a cookie may be called (RFC 6265 4.1.1).
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NAMED = frozenset({"header", "cookie", "query", "form", "metadata"})
_POINTED = frozenset({"json", "websocket"})
_SCHEMED = frozenset({"header", "metadata", "websocket"})
_ANY_NAME = frozenset({"query", "form"})
# What frames or routes a request, and what the switchboard sets or takes off by itself.
_OURS = re.compile(
    r"connection|content-(encoding|length|type)|expect|host|http2-settings|keep-alive|proxy-(authorization|connection)"
    r"|sec-websocket-(extensions|key|version)|te|trailer|transfer-encoding|upgrade|baggage|x-hms-.*"
)
_INSTEAD = {"cookie": "'in: cookie'", "sec-websocket-protocol": "'in: websocket' and the name of a subprotocol"}


def credential_findings(target: Target, place: Loc) -> Iterator[Finding]:
    """Yield what is wrong with a target's credentials, whose keys are sound one by one."""
    seen: set[tuple[str, str, str]] = set()
    for index, credential in enumerate(target.credentials):
        loc: Loc = (*place, "credentials", index)
        yield from _place(credential, loc)
        yield from _twin(credential, loc)
        key = _key(credential)
        if key in seen:
            yield Finding((*loc, "in"), credential.place, "used once: another credential is in the same place")
        seen.add(key)


def _key(credential: Credential) -> tuple[str, str, str]:
    """Return what two credentials may not share; basic and metadata are headers too."""
    kind, name, scheme = credential.place, credential.name or "", credential.scheme or ""
    if kind == "basic":
        name, scheme = "Authorization", "Basic"
    where = credential.pointer if kind in _POINTED and credential.pointer else name
    return ("header" if kind in ("basic", "metadata") else kind, fold(where), fold(scheme))


def _place(credential: Credential, loc: Loc) -> Iterator[Finding]:
    kind, name, pointer = credential.place, credential.name, credential.pointer
    if kind in _NAMED and name is None:
        yield Finding((*loc, "name"), "nothing", f"enough: a credential in a {kind} needs its 'name'")
    if kind == "websocket" and (name is None) == (pointer is None):
        expected = "enough: a credential in a websocket needs either its 'pointer' (in messages) or its 'name' ("
        yield Finding((*loc, "pointer"), "nothing" if name is None else "both", f"{expected}of a subprotocol)")
    elif kind == "json" and pointer is None:
        yield Finding((*loc, "pointer"), "nothing", f"enough: a credential in {kind} needs its 'pointer'")
    if name is not None:
        yield from _name(kind, name, (*loc, "name"))
    if pointer is not None:
        yield from _pointer(kind, pointer, (*loc, "pointer"))
    if credential.scheme is not None:
        yield from _scheme(credential, (*loc, "scheme"))


def _name(kind: str, name: str, loc: Loc) -> Iterator[Finding]:
    if kind not in _NAMED and kind != "websocket":
        yield Finding(loc, shorten(name), f"used by a credential in {kind}")
    elif kind in _ANY_NAME:
        if not name or "[" in name or name != name.strip():
            yield Finding(loc, shorten(name), f"the name of a {kind} parameter, without a subscript")
    elif not _TOKEN.fullmatch(name):
        yield Finding(loc, shorten(name), f"the name of a {'subprotocol' if kind == 'websocket' else kind}")
    elif kind in ("header", "metadata"):
        if instead := _INSTEAD.get(fold(name)):
            yield Finding(loc, shorten(name), f"a header for a rule: use {instead}")
        elif _OURS.fullmatch(fold(name)):
            yield Finding(loc, shorten(name), "a header for a rule: it frames the request, or the switchboard sets it")


def _pointer(kind: str, pointer: str, loc: Loc) -> Iterator[Finding]:
    if kind not in _POINTED:
        yield Finding(loc, shorten(pointer), f"used by a credential in a {kind}")
    elif not is_pointer(pointer):
        yield Finding(loc, shorten(pointer), "a JSON pointer like '/auth/token'")


def _scheme(credential: Credential, loc: Loc) -> Iterator[Finding]:
    shown = shorten(credential.scheme)
    if credential.place not in _SCHEMED or (credential.place == "websocket" and credential.pointer is None):
        yield Finding(loc, shown, "used outside header, metadata and messages of a websocket")
    elif not _TOKEN.fullmatch(credential.scheme or ""):
        yield Finding(loc, shown, "an authentication scheme like 'Bearer'")


def _twin(credential: Credential, loc: Loc) -> Iterator[Finding]:
    twin, learn = credential.twin, credential.learn
    if isinstance(twin, Secret):
        if learn is not None:
            yield Finding((*loc, "learn"), "a place", "used beside a fixed twin: it goes with 'twin: learned'")
        name = credential.name or ""
        if twin.value is not None and (flaw := twin_flaw(twin.value, place=credential.place, name=name)):
            shown = "the value (not shown, it may be a secret)"
            yield Finding((*loc, "twin", "value"), shown, f"a twin for a {credential.place}: {flaw}")
    elif learn is not None:
        yield from _learn(learn, (*loc, "learn"))
    elif credential.place not in IN_ANSWERS:
        expected = "enough: a learned twin here needs 'learn', where the sandbox issues it ("
        yield Finding(
            (*loc, "learn"), "nothing", f"{expected}{{pointer: /access_token}}, {{header: …}} or {{cookie: …}})"
        )


def _learn(learn: Learn, loc: Loc) -> Iterator[Finding]:
    if learn.pointer is not None and not is_pointer(learn.pointer):
        yield Finding((*loc, "pointer"), shorten(learn.pointer), "a JSON pointer like '/access_token'")
    for kind, name in (("header", learn.header), ("cookie", learn.cookie)):
        if name is not None and not _TOKEN.fullmatch(name):
            yield Finding((*loc, kind), shorten(name), f"the name of a {kind}")
