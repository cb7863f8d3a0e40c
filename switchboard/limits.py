"""How much of one body is held or unpacked on its way through a drill."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from switchboard.sizes import Bytes

_MIB = 1024 * 1024


class Limits(BaseModel):
    """Bounds of one body, in bytes.

    `body`: of a request that is held whole for the sake of a credential rule. `decoded` and `ratio`: what the coded
    body of an answer that is rewritten may unpack to, in all and (from 16 MiB on) compared with what came. Memory
    does not depend on the last two: they bound work and what reaches the client.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    body: Bytes = 8 * _MIB
    ratio: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 200.0
    decoded: Bytes = 1024 * _MIB
