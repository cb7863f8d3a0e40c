"""WebSocket messages on their way to a sandbox: JSON by pointer, and the greetings that carry headers.

Theory: pages cannot set headers on a WebSocket, so protocols put them into the first message: the payload of
graphql-ws's `connection_init`, the headers of STOMP's CONNECT, the auth object of Socket.IO (LEAKS WS-02). The first
two are judged like a request's fields: a rule for a header holds there too, and what looks like a credential and has
no rule is taken out. Socket.IO's and SockJS's wrappings are looked through. Where pointers are given, a first
message of no known form is dropped, and so is any that starts as JSON and is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import orjson

from switchboard.credential_body import SwappedBody, Unreadable, is_structure, swap_json
from switchboard.credential_rules import Learned, Rule, Rules, choose
from switchboard.json_spans import Node, NotJson, read_json
from switchboard.twins import fold

_INIT = b"connection_init"
_CONNECT = re.compile(rb"\s*(?:CONNECT|STOMP)[ \t]*\r?\n", re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
# Engine.IO 4 and Socket.IO 5: packet types, count of attachments, namespace, acknowledgement; then JSON.
_SOCKET_IO = re.compile(rb"\d{1,2}(?:\d*-)?(?:/[^,\[{]*,)?\d*(?=[\[{\"])")
_NO_PAYLOAD = re.compile(rb"\s*|\d{1,2}(?:probe|/[^,\s]*,?)?")
_SUSPECTS = frozenset({b"passcode", b"login"})  # STOMP 1.2: CONNECT


@dataclass(frozen=True, slots=True)
class SwappedMessage:
    """The message to send; with `drop` none is to be sent, for the `reason`. Labels as of `SwappedBody`."""

    content: bytes
    swapped: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    drop: bool = False
    reason: str = ""


def swap_message(content: bytes, *, is_text: bool, first: bool, rules: Rules, learned: Learned) -> SwappedMessage:
    """Return a client's message with twins for what has a rule. `first`: of its connection."""
    if not (first or rules.messages or _INIT in content):
        return SwappedMessage(content)
    try:
        found = _structured(content, rules=rules, learned=learned)
    except Unreadable as error:
        return SwappedMessage(b"", drop=True, reason=str(error).replace("body", "message"))
    if found is not None:
        return SwappedMessage(found.body, found.swapped, found.removed)
    if first and rules.messages and not (is_text and _NO_PAYLOAD.fullmatch(content)):
        return SwappedMessage(b"", drop=True, reason="first message of no known form")
    return SwappedMessage(content)


def _structured(content: bytes, *, rules: Rules, learned: Learned) -> SwappedBody | None:
    """Return a message of a known form, swapped, or None for one of another. Raises Unreadable."""
    if _CONNECT.match(content):
        return _stomp(content, rules=rules, learned=learned)
    if is_structure(content) or content.startswith(b'"'):
        return _json(content, rules=rules, learned=learned)
    wrapping = _SOCKET_IO.match(content)
    if wrapping is None:
        return None
    inner = _json(content[wrapping.end() :], rules=rules, learned=learned)
    return replace(inner, body=wrapping[0] + inner.body)


def _json(text: bytes, *, rules: Rules, learned: Learned) -> SwappedBody:
    try:
        message = read_json(text)
    except NotJson:
        if rules.messages or _INIT in text:
            raise Unreadable("message is not JSON in UTF-8") from None
        return SwappedBody(text)
    if isinstance(message, list) and message and all(isinstance(one, str) for one in message):
        return _sock_js(text, message, rules=rules, learned=learned)
    is_greeting = _INIT in text or (isinstance(message, dict) and message.get("type") == _INIT.decode())
    root = _greeting(rules) if is_greeting else rules.message
    return swap_json(text, root, learned=learned)


def _sock_js(text: bytes, frames: list[str], *, rules: Rules, learned: Learned) -> SwappedBody:
    """Swap what SockJS carries: a list of messages as strings."""
    found = swap_json(text, rules.message, learned=learned)
    if found.swapped or found.removed:
        return found
    inner = [(frame, _structured(frame.encode(), rules=rules, learned=learned)) for frame in frames]
    swapped = [label for _, one in inner if one is not None for label in one.swapped]
    removed = [label for _, one in inner if one is not None for label in one.removed]
    if not swapped and not removed:
        return SwappedBody(text)
    texts = [frame if one is None else one.body.decode() for frame, one in inner]
    return SwappedBody(orjson.dumps(texts), tuple(swapped), tuple(removed))


def _greeting(rules: Rules) -> Node[tuple[Rule, ...]]:
    """Return what leads to the keys of a `connection_init` that stand for headers, besides the rules' pointers."""
    steps = dict(rules.message.steps)
    payload = steps.get("payload", Node())
    if payload.leaf is not None:
        return rules.message
    inner = dict(payload.steps)
    headers = inner.get("headers", Node())
    if headers.leaf is None:
        inner["headers"] = Node(steps=headers.steps, other=rules.candidates)
    steps["payload"] = Node(steps=inner, other=rules.candidates)
    return Node(steps=steps)


def _stomp(frame: bytes, *, rules: Rules, learned: Learned) -> SwappedBody:
    """Swap the headers of a STOMP frame that connects; they are not escaped (STOMP 1.2, Value Encoding)."""
    command = _CONNECT.match(frame)
    end = _HEAD_END.search(frame, command.end() - 1) if command is not None else None
    if command is None or end is None:
        raise Unreadable("message is a STOMP frame without an end of its headers")
    kept: list[bytes] = []
    swapped: list[str] = []
    removed: list[str] = []
    for line in frame[command.end() : end.start()].split(b"\n"):
        name, colon, value = line.partition(b":")
        candidates = _stomp_rules(name, rules)
        if candidates is None or not colon:
            kept.append(line)
            continue
        rule = choose(candidates, value.decode("utf-8", "replace"))
        twin = rule.twin(learned) if rule is not None else None
        if rule is not None and twin is not None:
            kept.append(name + b":" + rule.written(twin).encode() + (b"\r" if line.endswith(b"\r") else b""))
            swapped.append(rule.label)
        else:
            removed.append(rule.label if rule is not None else name.strip().lower().decode("ascii", "replace"))
    if not swapped and not removed:
        return SwappedBody(frame)
    head = command[0] + b"".join(line + b"\n" for line in kept)
    return SwappedBody(head + b"\n" + frame[end.end() :], tuple(swapped), tuple(removed))


def _stomp_rules(name: bytes, rules: Rules) -> tuple[Rule, ...] | None:
    key = name.strip().decode("utf-8", "surrogateescape")
    pointed = rules.messages.get((fold(key),))
    if pointed is not None:
        return (pointed,)
    found = rules.candidates(key)
    return () if found is None and name.strip().lower() in _SUSPECTS else found
