"""What keys of one mock mean together: one body, headers that can be sent, templates that can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from switchboard.estate import Mock
from switchboard.mock_template import expression_flaw, template_flaw
from switchboard.yaml_lines import Finding, Loc, shorten

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_STATE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
# What frames an answer, and what only the switchboard may say.
_OURS = re.compile(r"content-length|transfer-encoding|connection|keep-alive|trailer|upgrade|te|x-hms-.*", re.IGNORECASE)
_BODIES = ("json", "text", "file", "template")


def mock_findings(mock: Mock, loc: Loc) -> Iterator[Finding]:
    """Yield everything that is wrong with one mock besides its `match`."""
    yield from _one_body(mock, loc)
    for name, value in mock.headers.items():
        yield from _header(name, value, (*loc, "headers", name))
    if isinstance(mock.template, str) and (flaw := template_flaw(mock.template)):
        yield Finding((*loc, "template"), shorten(mock.template), f"a Jinja2 template ({flaw})")
    for name, text in mock.set_values.items():
        place: Loc = (*loc, "set", name)
        if not _STATE_NAME.fullmatch(name):
            yield Finding(place, shorten(name), "a name of letters, digits and '_' that starts with no digit")
        if flaw := expression_flaw(text):
            yield Finding(place, shorten(text), f"a Jinja2 expression like 'json.id' ({flaw})")
    if mock.set_values and not mock.state:
        yield Finding((*loc, "set"), "a map", "possible without 'state: true'")


def _one_body(mock: Mock, loc: Loc) -> Iterator[Finding]:
    given = (mock.json_body, mock.text, mock.file, mock.template)
    first, *others = [name for name, value in zip(_BODIES, given, strict=True) if value is not None] or ["none"]
    for other in others:
        shown = shorten(mock.text) if other == "text" else f"a {other}"
        yield Finding((*loc, other), shown, f"possible beside {first!r}: a mock has one body")


def _header(name: str, value: str, loc: Loc) -> Iterator[Finding]:
    if not _TOKEN.fullmatch(name):
        yield Finding(loc, shorten(name), "the name of a header")
    elif _OURS.fullmatch(name):
        yield Finding(loc, shorten(name), "a header that a mock may set: the switchboard does")
    if not (value.isascii() and value.replace("\t", " ").isprintable()):
        yield Finding(loc, shorten(value), "the value of a header: printable ASCII")
