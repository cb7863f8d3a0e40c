"""YAML text as plain data plus the line of every key, so that each problem can say where it stands.

Only what a settings file needs is read: maps, lists, text, true and false, null, and numbers that every
version of YAML takes for numbers. So `guard: off`, `2020-03-15` and `1:30` stay text, and no tag builds an
object. Size, depth and what aliases unfold to are bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from switchboard.errors import InvalidFile, Problem

Loc = tuple[str | int, ...]

MOST_CHARACTERS = 1_000_000
MOST_VALUES = 200_000  # counted after aliases are unfolded
DEEPEST = 40
FILE_KEY = "(file)"

_CONSTANTS: dict[str, object] = {"": None, "~": None} | {
    spelling: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for spelling in (word, word.capitalize(), word.upper())
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MOST_DIGITS = 18  # a longer run of digits is an identifier, not a count
_TAG = "tag:yaml.org,2002:"
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_-]+")


class Finding(NamedTuple):
    """One thing wrong, by its place in the data: what stands there and what was expected.

    `line` is given where the place has another one (a key that is written twice).
    """

    loc: Loc
    value: str
    expected: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data of a YAML file; `lines` by place (1-based); `findings` that YAML itself lets pass."""

    file: str
    data: Any
    lines: Mapping[Loc, int]
    findings: tuple[Finding, ...] = ()

    def line(self, loc: Loc) -> int:
        """Return the line of a place, else of the nearest place around it that is in the file."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def problems(self, findings: tuple[Finding, ...]) -> tuple[Problem, ...]:
        """Return findings as problems of this file, in the file's order."""
        found = (
            Problem(self.file, line or self.line(loc), dotted(loc), value, expected)
            for loc, value, expected, line in dict.fromkeys(findings)
        )
        return tuple(sorted(found, key=lambda problem: problem.line))


def dotted(loc: Loc) -> str:
    """Return a place as people write it: `targets.staging.routes[0].to`, `connect['www.cms.example']`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_WORD.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{shorten(part)}]"
    return text or FILE_KEY


def shorten(value: object, *, most: int = 60) -> str:
    """Return `repr` of a value in at most `most` characters."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 4]}...{text[-1]}"


def parse_yaml(text: str, file: str) -> Document:
    """Return the data of one YAML document with its lines; keys are text, the first of two equal keys counts.

    Raises InvalidFile where nothing can be read at all: syntax, control characters, size, depth, aliases.
    """
    if len(text) > MOST_CHARACTERS:
        size = f"a text of {len(text)} characters"
        raise InvalidFile([Problem(file, 1, FILE_KEY, size, f"shorter than {MOST_CHARACTERS} characters")])
    plain = _Plain()
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        data = plain.value(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        raise InvalidFile([_syntax_problem(error, file)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"the character U+{ord(text[error.position]):04X}"
        raise InvalidFile([Problem(file, line, FILE_KEY, character, "allowed in YAML")]) from None
    except (ValueError, OverflowError):  # PyYAML turns an escape beyond Unicode's end into neither of its own
        line = loader.line + 1
        raise InvalidFile([Problem(file, line, FILE_KEY, "an escape", "a character of Unicode")]) from None
    return Document(file, data, plain.lines, tuple(plain.findings))


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    reason = " ".join(filter(None, (error.context, error.problem)))
    return Problem(file, line, FILE_KEY, f"the text at column {column}", f"YAML that can be read ({reason})")


class _Loader(yaml.SafeLoader):
    """Composes nodes only; a limit on depth keeps hostile nesting from the interpreter's stack."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {DEEPEST} levels",
                problem_mark=self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


@dataclass(slots=True)
class _Plain:
    """Turns nodes into data, and notes lines and findings on the way."""

    lines: dict[Loc, int] = field(default_factory=lambda: {(): 1})
    findings: list[Finding] = field(default_factory=list)
    count: int = 0
    depth: int = 0

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        self.count += 1
        self.depth += 1
        if self.count > MOST_VALUES or self.depth > DEEPEST:  # an alias may even hold itself
            raise yaml.MarkedYAMLError(problem="its aliases unfold to too many values", problem_mark=node.start_mark)
        self.lines.setdefault(loc, node.start_mark.line + 1)
        if node.tag not in _TAGS:
            tag = shorten(node.tag.replace(_TAG, "!!"))
            self.findings.append(Finding(loc, f"the tag {tag}", "read here; leave it out"))
        if isinstance(node, yaml.MappingNode):
            data: Any = self._mapping(node, loc)
        elif isinstance(node, yaml.SequenceNode):
            data = [self.value(item, (*loc, index)) for index, item in enumerate(node.value)]
        else:
            text = self._text(node, loc)
            is_plain = isinstance(node, yaml.ScalarNode) and node.style is None and node.tag != _TAG + "str"
            data = _resolve(text) if is_plain else text
        self.depth -= 1
        return data

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.findings.append(Finding(loc, "a list or map used as a key", "text, as a key must be"))
            elif key_node.tag == _TAG + "merge":
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            else:
                self._entry(data, key_node, value_node, loc=loc)
        for source in merged:  # YAML merge keys: what is written here, then what was taken in first, wins
            other = self.value(source, loc)
            if isinstance(other, dict):
                data = other | data
            else:
                self.findings.append(Finding(loc, "what '<<' takes in", "a map"))
        return data

    def _entry(self, data: dict[str, Any], key_node: yaml.ScalarNode, value_node: yaml.Node, *, loc: Loc) -> None:
        key, line = self._text(key_node, loc), key_node.start_mark.line + 1
        place = (*loc, key)
        if key in data:
            expected = f"a key that is written once; it stands on line {self.lines[place]} already"
            self.findings.append(Finding(place, f"a second {shorten(key)}", expected, line))
            return
        self.lines.setdefault(place, line)
        data[key] = self.value(value_node, place)

    def _text(self, node: yaml.Node, loc: Loc) -> str:
        text = str(node.value)
        try:
            text.encode()
        except UnicodeEncodeError:  # half a surrogate pair, from an escape
            self.findings.append(Finding(loc, shorten(text), "text that UTF-8 can hold"))
            return text.encode(errors="replace").decode()
        return text


_TAGS = frozenset(
    _TAG + name for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value", "merge")
)


def _resolve(text: str) -> Any:
    """Return the value of an unquoted scalar; numbers are finite and have few digits."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) <= _MOST_DIGITS and _INTEGER.fullmatch(text):
        return int(text, 16 if text.startswith("0x") else 10)
    if _FLOAT.fullmatch(text) and not _INTEGER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
