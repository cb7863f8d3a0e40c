"""Values that stand in for twins which are not known: they can be sent, and are told apart when they are shown."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from switchboard.credentials import Rules
from switchboard.estate import Credential, Target
from switchboard.twins import in_subprotocol

LEARNED_TWIN = "<learned twin, known once the trainee has logged in>"


def fixed_stand_ins(
    target: Target, secrets: Mapping[int, str], *, number: int = 0
) -> tuple[dict[int, str], dict[str, str]]:
    """Return values for all fixed twins of a target, and what to show for those that `secrets` does not have.

    `number` tells the values of one target from those of another.
    """
    values, known = dict(secrets), {}
    for at, credential in enumerate(target.credentials):
        if credential.twin != "learned" and at not in values:
            values[at], forms = _made(credential.place, credential.name or "", f"Fixed{number}x{at}x")
            known.update(dict.fromkeys(forms, f"<twin of {place_of(credential)}>"))
    return values, known


def learned_stand_ins(rules: Rules) -> tuple[dict[str, str], dict[str, str]]:
    """Return values for all learned twins by rule key, and what to show for them."""
    values, known = {}, {}
    for at, rule in enumerate(rules.learners):
        values[rule.key], forms = _made(rule.place, rule.name, f"Learned{at}x")
        known.update(dict.fromkeys(forms, LEARNED_TWIN))
    return values, known


def place_of(credential: Credential) -> str:
    """Return where requests carry a credential, in words."""
    return " ".join(filter(None, (credential.place, credential.name or credential.pointer)))


def _made(place: str, name: str, word: str) -> tuple[str, Iterable[str]]:
    """Return a value that may stand in a place (`twins.twin_flaw`), and the forms in which it is written there."""
    value = f"esrTwin{word}NotKnownHere"
    if place == "basic":
        value = f"{value}:{value}"
        return value, (value, base64.b64encode(value.encode()).decode())
    return value, (value, in_subprotocol(value, name))
