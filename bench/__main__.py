"""`python -m bench [proxy] [--quick] [--write]`: measure, print the table, keep it in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import proxy
from bench.machine import describe
from bench.table import as_markdown, as_text, replaced
from switchboard.errors import EsrError

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure against named peers, in turns.")
    parser.add_argument("part", nargs="?", choices=["proxy"], default="proxy")
    parser.add_argument("--quick", action="store_true", help="a short look instead of figures to keep")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    return parser.parse_args()


def main() -> int:
    given = _arguments()
    try:
        rows = proxy.measure(
            proxy.QUICK if given.quick else proxy.Pace(), tell=lambda text: print(text, file=sys.stderr, flush=True)
        )
    except EsrError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    facts = describe(proxy.PACKAGES)
    print("\n".join(f"{name} {value}" for name, value in facts.items()), as_text(rows), sep="\n\n")
    if given.write:
        table = as_markdown(rows) + "\n\n" + ", ".join(f"{name} {value}" for name, value in facts.items())
        DOCUMENT.write_text(replaced(DOCUMENT.read_text(), given.part, table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
