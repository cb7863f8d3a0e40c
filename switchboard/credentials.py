"""Twins for credentials on their way to a sandbox, and what its answers teach of them: the whole of it in one place.

`credential_rules` compiles a target's rules; `credential_head` (with `credential_cookies` and `parameters`),
`credential_body` (with `json_spans` and `multipart`) and `credential_messages` apply them to a request; `learning`
reads what the sandbox issues; `twins` knows what may stand where; `fingerprint` tells credentials apart unseen.
"""

from __future__ import annotations

from switchboard.credential_body import SwappedBody, Unreadable, needs_body, swap_body
from switchboard.credential_cookies import with_jar
from switchboard.credential_head import Swapped, swap_head
from switchboard.credential_messages import SwappedMessage, swap_message
from switchboard.credential_rules import Learned, Rule, Rules, compile_rules
from switchboard.fingerprint import fingerprint
from switchboard.learning import learn, needs_answer

__all__ = [
    "Learned",
    "Rule",
    "Rules",
    "Swapped",
    "SwappedBody",
    "SwappedMessage",
    "Unreadable",
    "compile_rules",
    "fingerprint",
    "learn",
    "needs_answer",
    "needs_body",
    "swap_body",
    "swap_head",
    "swap_message",
    "with_jar",
]
