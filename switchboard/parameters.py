"""Parameters of a query or a form, one by one, as the most lenient server reads them: twins put in, suspects out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus

from switchboard.credential_rules import Learned, Rule
from switchboard.headers import clean_query
from switchboard.twins import fold

# Some servers split at semicolons too (RFC 1866 8.2.1), and all of them decode names.
_PARAMETER = re.compile(r"(^|[&;])([^&;]*)")


@dataclass(frozen=True, slots=True)
class SwappedParameters:
    """The parameters to send; labels of those swapped and removed."""

    text: str
    swapped: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def parameter_name(part: str) -> str:
    """Return the name of `name=value`, folded, decoded twice and without a subscript."""
    name = part.partition("=")[0]
    if "%" in name or "+" in name:
        name = unquote_plus(unquote_plus(name))
    return fold(name.strip().partition("[")[0])


def swap_query(query: str, *, rules: Mapping[str, Rule], names: frozenset[str], learned: Learned) -> SwappedParameters:
    """Return a query with twins for what has a rule, without what has none and looks like a credential.

    `names` look like credentials besides the common ones.
    """
    return _swap(query, rules=rules, names=names, learned=learned, cleans=True)


def swap_form(form: str, *, rules: Mapping[str, Rule], learned: Learned) -> SwappedParameters:
    """Return a form with twins for what has a rule; a person's form without a rule goes on as it is."""
    return _swap(form, rules=rules, names=frozenset(), learned=learned, cleans=False)


def _swap(
    text: str, *, rules: Mapping[str, Rule], names: frozenset[str], learned: Learned, cleans: bool
) -> SwappedParameters:
    kept = ""
    swapped: list[str] = []
    removed: list[str] = []
    for separator, part in _PARAMETER.findall(text):
        name = parameter_name(part)
        rule = rules.get(name)
        if rule is not None:
            twin = rule.twin(learned)
            if twin is None:
                removed.append(rule.label)
                continue
            part = f"{quote(rule.name, safe='')}={quote(twin, safe='')}"
            swapped.append(rule.label)
        elif name in names:
            removed.append(f"?{name}")
            continue
        elif cleans and (found := clean_query(f"?{part}")[1]):
            removed += found
            continue
        kept += (separator if kept else "") + part
    if not swapped and not removed:
        return SwappedParameters(text)
    return SwappedParameters(kept, tuple(swapped), tuple(removed))
