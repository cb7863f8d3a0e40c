"""Run the agency of one side: `python -m sandbox --side sandbox --host 127.0.2.1 --http-port 9080`.

Prints one JSON line with the ports it got, then serves until SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from sandbox.agency import agency
from sandbox.certificates import ServerFiles
from sandbox.desk import SERVICES
from sandbox.placing import PREFIXES, Name
from sandbox.side import Side
from switchboard.errors import EsrError


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="The stand-in agency of one side.")
    parser.add_argument("--side", choices=[side.value for side in Side], required=True)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--http-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--tls-port", type=int, default=0, help="used with --cert and --key")
    parser.add_argument("--cert", type=Path, help="certificate chain, PEM")
    parser.add_argument("--key", type=Path, help="its private key, PEM")
    parser.add_argument("--books-port", type=int, help="where GET /books is answered (default nowhere)")
    parser.add_argument("--services-url", default=SERVICES, metavar="URL", help=f"told to pages (default {SERVICES})")
    parser.add_argument(
        "--prefix",
        action="append",
        default=[],
        metavar="PATH[=SERVICE]",
        help=f"also accept this path prefix and take it off; SERVICE is {', '.join(Name)}",
    )
    chosen = parser.parse_args(words)
    if bool(chosen.cert) != bool(chosen.key):
        parser.error("--cert and --key go together")
    try:
        chosen.prefixes = {**PREFIXES, **dict(map(_prefix, chosen.prefix))}
    except ValueError as error:
        parser.error(str(error))
    return chosen


def _prefix(text: str) -> tuple[str, Name | None]:
    path, equals, name = text.partition("=")
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError(f"--prefix {text}: {path!r} is not a path like '/sandbox' without a slash at its end")
    if equals and name not in list(Name):
        raise ValueError(f"--prefix {text}: {name!r} is not one of {', '.join(Name)}")
    return path, Name(name) if equals else None


async def serve(chosen: argparse.Namespace) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with agency(
        chosen.side,
        chosen.host,
        http_port=chosen.http_port,
        tls_port=chosen.tls_port,
        tls=ServerFiles(chosen.cert, chosen.key) if chosen.cert else None,
        books_port=chosen.books_port,
        prefixes=chosen.prefixes,
        services_url=chosen.services_url,
    ) as running:
        ports = {"http": running.http_port, "tls": running.tls_port, "books": running.books_port}
        print(json.dumps({"side": running.side, "host": running.host, **ports}), flush=True)
        await ended.wait()


def main() -> int:
    try:
        asyncio.run(serve(arguments(sys.argv[1:])))
    except EsrError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
