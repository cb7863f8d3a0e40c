"""Templates of mocks: Jinja2 in its sandbox, with a closed list of names and a bound on what comes out.

Who writes an estate is trusted to know what a template costs; what a request brings is not trusted at all. So values
of a request are data (never a template), nothing leads from them to Python, and nothing can be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.meta import find_referenced_templates, find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range

NAMES = ("method", "url", "host", "path", "query", "headers", "json", "form", "text", "state", "drill")
MOST_OUTPUT = 1024 * 1024
_MOST_REPEATED = 64 * 1024
_MOST_EXPONENT = 64
_NEVER_THE_SAME = ("random",)
_ESCAPED = ("html", "xml")

Values = Mapping[str, Any]


class Unrenderable(ValueError):
    """A template or expression that gives no answer for this request; `str()` names no value of the request."""


class _Sandbox(ImmutableSandboxedEnvironment):
    # Output is only counted once it exists, so what makes a huge value of small ones is refused before.
    intercepted_binops = frozenset({"*", "**"})


def _times(left: Any, right: Any) -> Any:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, int) and hasattr(other, "__len__") and one * len(other) > _MOST_REPEATED:
            raise SecurityError(f"a repetition longer than {_MOST_REPEATED}")
    return left * right


def _power(left: Any, right: Any) -> Any:
    if not all(isinstance(value, int | float) and abs(value) <= _MOST_EXPONENT for value in (left, right)):
        raise SecurityError("a power of numbers above 64")
    return left**right


def _environment(*, escape: bool) -> _Sandbox:
    made = _Sandbox(autoescape=escape, undefined=StrictUndefined, keep_trailing_newline=True, cache_size=0)
    made.globals = {"range": safe_range}
    made.binop_table |= {"*": _times, "**": _power}
    for name in _NEVER_THE_SAME:
        del made.filters[name]
    return made


_ESCAPING, _PLAIN = _environment(escape=True), _environment(escape=False)


def is_escaped(content_type: str) -> bool:
    """Return whether values are escaped in an answer of this type: HTML, XML and what is built on it."""
    media = content_type.partition(";")[0].strip().lower()
    return media.rpartition("/")[2].rpartition("+")[2] in _ESCAPED


@lru_cache(512)
def _template(text: str, *, escape: bool) -> Template:
    return (_ESCAPING if escape else _PLAIN).from_string(text)


@lru_cache(512)
def _expression(text: str) -> TemplateExpression:
    return _PLAIN.compile_expression(text, undefined_to_none=False)


def template_flaw(text: str) -> str | None:
    """Return why a text is no template of a mock, None where it is one."""
    try:
        syntax = _PLAIN.parse(text)
        _PLAIN.from_string(text)
    except TemplateSyntaxError as error:
        return f"line {error.lineno}: {error.message}"
    if any(True for _ in find_referenced_templates(syntax)):
        return "it includes another template"
    if unknown := find_undeclared_variables(syntax) - set(NAMES) - {"range"}:
        return f"{min(unknown)!r} is not known; known are {', '.join(NAMES)}"
    return None


def expression_flaw(text: str) -> str | None:
    """Return why a text is no single Jinja2 expression, None where it is one."""
    try:
        _expression(text)
    except TemplateSyntaxError as error:
        return str(error.message)
    return template_flaw("{{ (" + text + "\n) }}")


def render_template(text: str, values: Values, *, content_type: str) -> str:
    """Return what a template makes of the values, at most 1 MiB; raises Unrenderable."""
    parts: list[str] = []
    size = 0
    try:
        for part in _template(text, escape=is_escaped(content_type)).generate(values):
            size += len(part)
            if size > MOST_OUTPUT:
                raise Unrenderable(f"the answer is longer than {MOST_OUTPUT} characters")
            parts.append(part)
    except Unrenderable:
        raise
    except Exception as error:  # a template can raise whatever Python can
        raise Unrenderable(_reason(error)) from None
    return "".join(parts)


def evaluate(text: str, values: Values) -> Any:
    """Return the value of one expression; raises Unrenderable, also for a name that has no value."""
    try:
        value = _expression(text)(**values)
        if isinstance(value, StrictUndefined):
            str(value)  # raises UndefinedError with the name
    except Exception as error:
        raise Unrenderable(_reason(error)) from None
    return value


def _reason(error: Exception) -> str:
    """Return why; only Jinja2's own errors are known to name names and no values."""
    if isinstance(error, TemplateError) and error.message:
        return error.message
    return type(error).__name__
