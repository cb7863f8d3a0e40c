"""Which of the two worlds an agency is in."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    PROD = "prod"
    SANDBOX = "sandbox"

    @property
    def label(self) -> str:
        """The word that people see on a page."""
        return "PRODUCTION" if self is Side.PROD else "SANDBOX"
