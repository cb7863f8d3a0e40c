"""What a file's keys must hold, in plain words: turns pydantic's errors into findings at places of the file.

A place that takes several kinds of value (`workers`, `twin`) is one finding, not one for each kind. Values in
places that hold secrets are never repeated.
"""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from switchboard.estate import Secret, Value
from switchboard.yaml_lines import Document, Finding, Loc, shorten

ValueT = TypeVar("ValueT", bound=Value)

_PATTERNS = {
    "banner": "text of 1 to 80 characters on one line",
    "id": "a name of letters, digits, '.', '_' and '-' that starts with a letter or digit, at most 64 long",
    "match": "a method (or *), a space and a URL like 'POST https://payments.example/*'",
    "outbox": "a word for what was swallowed like 'payment' (small letters, at most 32)",
    "path": "a path that starts with '/' and holds no spaces",
}
_KINDS = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "path_type": "text that names a file",
    "tuple_type": "a list",
    "dict_type": "a map of names to values",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("gt", "a number above {}"),
    "greater_than_equal": ("ge", "a number of at least {}"),
    "less_than": ("lt", "a number below {}"),
    "less_than_equal": ("le", "a number of at most {}"),
}
# Errors that only say that the value is of another kind, not what is wrong inside it.
_OTHER_KIND = frozenset(_KINDS) | {"literal_error", "enum", "model_type", "string_type"}


class _Fault(NamedTuple):
    """One of pydantic's errors at its place in the data; `union` is the place that takes several kinds."""

    loc: Loc
    union: Loc | None
    error: ErrorDetails


def read_model(
    model: type[ValueT], document: Document, *, later: Collection[str] = ()
) -> tuple[ValueT | None, tuple[Finding, ...]]:
    """Return the model's value of a document, or None with what is wrong in it.

    Types are strict: a number is not text, 1 is not true. `later` are keys that a later version will know.
    """
    try:
        return model.model_validate_json(json.dumps(document.data), strict=True), ()
    except ValidationError as error:
        details = error.errors(include_url=False)
    faults = [_fault(detail, document.data) for detail in details]
    return None, tuple(_findings(faults, model=model, data=document.data, later=later))


def describe(value: object) -> str:
    """Return a value for a message; of maps and lists only the outline, as they may hold secrets."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"a map with {', '.join(map(str, value))}"[:80] if value else "an empty map"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"a list of {len(value)}" if value else "an empty list"
    return shorten(value)


def _fault(error: ErrorDetails, data: Any) -> _Fault:
    """Drop from pydantic's place what is not in the data: the names of a union's branches."""
    loc: Loc = ()
    union: Loc | None = None
    parts = error["loc"]
    for index, part in enumerate(parts):
        if _has(data, part):
            data = data[part]
            loc = (*loc, part)
        elif error["type"] == "missing" and index == len(parts) - 1:
            loc = (*loc, part)
        else:
            union = loc
    return _Fault(loc, union, error)


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _findings(faults: list[_Fault], *, model: type[Value], data: Any, later: Collection[str]) -> Iterator[Finding]:
    unions: dict[Loc, list[_Fault]] = {}
    for fault in faults:
        if fault.union is None:
            yield _finding(fault, model=model, later=later)
        else:
            unions.setdefault(fault.union, []).append(fault)
    for loc, branches in unions.items():
        inside = [fault for fault in branches if fault.loc != loc or fault.error["type"] not in _OTHER_KIND]
        value = _at(data, loc)
        if inside and isinstance(value, dict):
            yield from (_finding(fault, model=model, later=later) for fault in inside)
        else:
            kinds = (_expected(fault, model=model) for fault in branches)
            yield Finding(loc, _shown(loc, value, model=model), " or ".join(dict.fromkeys(kinds)))


def _at(data: Any, loc: Loc) -> Any:
    for part in loc:
        data = data[part]
    return data


def _finding(fault: _Fault, *, model: type[Value], later: Collection[str]) -> Finding:
    key = fault.loc[-1] if fault.loc else ""
    if fault.error["type"] == "missing":
        return Finding(fault.loc, "nothing", "enough: this key is required")
    if fault.error["type"] == "extra_forbidden":
        if key in later and len(fault.loc) == 1:
            return Finding(fault.loc, shorten(key), f"a key of this version ({key} come with a later one)")
        return Finding(fault.loc, shorten(key), _known_keys(str(key), _models_at(model, fault.loc[:-1])))
    shown = _shown(fault.loc, fault.error["input"], model=model)
    return Finding(fault.loc, shown, _expected(fault, model=model))


def _known_keys(key: str, models: Collection[type[BaseModel]]) -> str:
    known = [name for model in models for name in _keys(model)]
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(known)}"
    return f"a key that is known here ({hint})"


def _shown(loc: Loc, value: object, *, model: type[Value]) -> str:
    around = (_models_at(model, loc[:length]) for length in range(len(loc) + 1))
    if any(Secret in models for models in around) and not isinstance(value, dict):
        return "the value (not shown, it may be a secret)"
    return describe(value)


def _expected(fault: _Fault, *, model: type[Value]) -> str:
    error = fault.error
    kind, context = error["type"], error.get("ctx", {})
    key = str(fault.loc[-1]) if fault.loc else ""
    if kind == "value_error":
        return str(context["error"])
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return words.format(context[name])
    if kind in ("literal_error", "enum"):
        return str(context["expected"])
    if kind == "string_type":
        return "text (put it in quotes)" if isinstance(error["input"], int | float) else "text"
    if kind == "model_type":
        keys = dict.fromkeys(name for found in _models_at(model, fault.loc) for name in _keys(found))
        return f"a map with keys from: {', '.join(keys)}"
    if kind == "too_short":
        return f"long enough: it needs at least {context['min_length']} entry"
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(key, f"text of the form {context['pattern']}")
    return error["msg"].removeprefix("Input should be ")


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_at(model: type[BaseModel], loc: Loc) -> tuple[type[BaseModel], ...]:
    """Return the models that may describe a place."""
    found: list[Any] = [model]
    for part in loc:
        found = [inner for annotation in found for inner in _inside(annotation, part)]
    return tuple(kind for kind in found if isinstance(kind, type) and issubclass(kind, BaseModel))


def _inside(annotation: Any, part: str | int) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            if part == (field.alias or name):
                yield from _unions(field.annotation)
    elif get_origin(annotation) is tuple and isinstance(part, int):
        yield from _unions(get_args(annotation)[0])
    elif get_origin(annotation) is dict:
        yield from _unions(get_args(annotation)[1])


def _unions(annotation: Any) -> Iterator[Any]:
    """Yield the plain kinds of an annotation: each branch of a union, what `Annotated` is about."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _unions(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for branch in get_args(annotation):
            yield from _unions(branch)
    else:
        yield annotation
