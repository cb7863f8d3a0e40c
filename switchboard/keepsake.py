"""The last switch on disk, so that a node that restarts without its store stays where it was."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from switchboard.drill import SwitchDocument
from switchboard.errors import Unavailable


def keep(path: Path, document: SwitchDocument) -> None:
    """Write the document so that a crash leaves either the old file or the new one; raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as file:
        file.write(document.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def kept(path: Path) -> SwitchDocument | None:
    """Return the document on disk, None where there never was one; raises Unavailable for a broken file."""
    try:
        return SwitchDocument.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        # Starting without it could let a drill client through; that is for a person to decide.
        raise Unavailable(
            f"{path}: the kept switch cannot be read; end all drills, then delete this file", code="keepsake"
        ) from error
