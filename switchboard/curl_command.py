"""A pasted curl command -> the request it sends. Reads no file, asks no network; what it cannot know it refuses.

The order of fields and what curl adds by itself are those of curl 7 and 8 over HTTP/1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from switchboard.curl_options import FLAGS, REFUSED, SHORT, TRANSPORT_FLAGS, VALUES, takes_value
from switchboard.errors import BadInput
from switchboard.headers import Field
from switchboard.shell_words import shell_words
from switchboard.specimen import Specimen, Target, basic, basic_login, parse_field, shown_url, split_url

_CURL = re.compile(r"(?:.*[/\\])?curl(?:\.exe)?\Z")
_AFTER = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "2>", "2>&1", "&>", "<"})
_GLOB = re.compile(r"\{[^{}]*\}|\[[^\]:]*\]")
_BOUNDARY = "------------------------0123456789abcdef"
_ENCODINGS = b"deflate, gzip, br, zstd"
_JSON = ((b"Content-Type", b"application/json"), (b"Accept", b"application/json"))
_FORM = b"application/x-www-form-urlencoded"


@dataclass(slots=True)
class _Command:
    """What the options of one command say. `data` None: there is none."""

    urls: list[str] = field(default_factory=list)
    method: str | None = None
    headers: list[str] = field(default_factory=list)
    data: str | None = None
    parts: list[tuple[str, str, str]] = field(default_factory=list)  # of a form: name, type, content
    cookies: list[str] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)  # of other options with a value, the last one
    flags: set[str] = field(default_factory=set)
    ignored: list[str] = field(default_factory=list)

    def add(self, text: str, *, joint: str = "&") -> None:
        self.data = text if self.data is None else f"{self.data}{joint}{text}"


def parse_curl(text: str) -> Specimen:
    """Return the request of a command line like `curl -X POST -d a=1 https://host/`; raises BadInput."""
    words, notes = _words(text)
    command = _Command()
    for name, value in _options(words):
        _take(command, name, value)
    url = _url(command)
    specimen = Specimen(
        method=_method(command),
        scheme=url.scheme,
        authority=url.authority,
        target=url.target,
        fields=_fields(command, url),
        body=_body(command),
        notes=notes,
    )
    if command.ignored:
        shown = ", ".join(dict.fromkeys(command.ignored))
        specimen = specimen.with_notes(f"options that say nothing about the request: {shown}")
    return specimen


def _bad(message: str) -> BadInput:
    return BadInput(f"curl command: {message}")


def _words(text: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the words after `curl` as its shell would hand them over, and what had to be assumed."""
    try:
        words, expands = shell_words(text)
    except ValueError as error:
        raise _bad(str(error)) from None
    if words and words[0] in ("$", "%", "#", "sudo"):
        words.pop(0)
    if not words or not _CURL.match(words[0]):
        raise _bad("it does not begin with the word curl")
    note = "variables and commands of the shell are taken as they stand"
    return words[1:], (note,) if expands else ()


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Give options by their long name with their value, "" where they take none; URLs as `url`."""
    rest = iter(words)
    for word in rest:
        if word in _AFTER:
            return
        if word == "--":
            yield from (("url", url) for url in rest)
        elif word.startswith("--"):
            name = word[2:]
            yield name, _value(word, rest) if takes_value(name) else ""
        elif word.startswith("-") and word != "-":
            yield from _cluster(word, rest)
        else:
            yield "url", word


def _cluster(word: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    for at, letter in enumerate(word[1:], 2):
        name = SHORT.get(letter)
        if name is None:
            raise _bad(f"option -{letter} is not known")
        if takes_value(name):
            yield name, word[at:] or _value(f"-{letter}", rest)
            return
        yield name, ""


def _value(option: str, rest: Iterator[str]) -> str:
    found = next(rest, None)
    if found is None:
        raise _bad(f"option {option} needs a value")
    return found


def _take(command: _Command, name: str, value: str) -> None:
    """Note one option; raises BadInput for one that is not known, or says what nobody here can know."""
    if name in REFUSED:
        raise _bad(f"option --{name}: {REFUSED[name]}")
    if name in FLAGS:
        command.flags.add(name)
    elif name in VALUES:
        _take_value(command, name, value)
    elif takes_value(name) or name in TRANSPORT_FLAGS or name.removeprefix("no-") in TRANSPORT_FLAGS:
        command.ignored.append(f"--{name}")
    else:
        raise _bad(f"option --{name.partition('=')[0][:40]} is not known")


def _take_value(command: _Command, name: str, value: str) -> None:
    match name:
        case "url":
            command.urls.append(value)
        case "header":
            command.headers.append(_no_file(name, value))
        case "url-query":
            command.query.append(value[1:] if value.startswith("+") else _urlencoded(name, value))
        case "form" | "form-string":
            command.parts.append(_part(name, value))
        case "cookie" if "=" in value:
            command.cookies.append(value)
        case "cookie":
            raise _bad("option --cookie: files are not read; give the cookies themselves as 'name=value'")
        case "data" | "data-ascii" | "data-binary" | "data-raw" | "data-urlencode" | "json":
            _take_data(command, name, value)
        case _:
            command.said[name] = value


def _take_data(command: _Command, name: str, value: str) -> None:
    if name == "json":
        command.flags.add(name)
        command.add(_no_file(name, value), joint="")
    elif name == "data-urlencode":
        command.add(_urlencoded(name, value))
    else:
        command.add(value if name == "data-raw" else _no_file(name, value))


def _no_file(name: str, value: str) -> str:
    if value.startswith("@"):
        raise _bad(f"option --{name}: {value[:80]!r} is a file, which is not read; give what it holds")
    return value


def _urlencoded(name: str, value: str) -> str:
    key, equals, content = value.partition("=")
    if not equals:
        if "@" in value:
            raise _bad(f"option --{name}: files are not read; give what it holds")
        return quote(value, safe="").replace("%20", "+")
    return (f"{key}=" if key else "") + quote(content, safe="").replace("%20", "+")


def _part(option: str, value: str) -> tuple[str, str, str]:
    name, equals, content = value.partition("=")
    if not equals:
        raise _bad(f"option --{option}: 'name=content' is expected")
    if option == "form-string":
        return name, "", content
    if content[:1] in ("@", "<"):
        raise _bad(f"option --{option}: {content[:80]!r} is a file, which is not read; give what it holds")
    content, _, media = content.partition(";type=")
    return name, media, content


def _method(command: _Command) -> str:
    if "request" in command.said:
        return command.said["request"]
    if "head" in command.flags:
        return "HEAD"
    return "POST" if command.parts or (command.data is not None and "get" not in command.flags) else "GET"


def _url(command: _Command) -> Target:
    if len(command.urls) != 1:
        raise _bad("it has no URL" if not command.urls else "it has several URLs; one request at a time is explained")
    url = command.urls[0]
    if "globoff" not in command.flags and _GLOB.search(url):
        raise _bad(f"{shown_url(url)!r} stands for several URLs; give one of them, or --globoff")
    parts = split_url(url if "://" in url else f"http://{url}")
    path, question, query = parts.target.partition("?")
    path = path if "path-as-is" in command.flags else _without_dots(path)
    more = [*command.query, *([command.data] if command.data and "get" in command.flags else [])]
    query = "&".join(filter(None, (query, *more)))
    return parts._replace(target=f"{path}?{query}" if query or question else path)


def _without_dots(path: str) -> str:
    """Return a path as curl sends it (RFC 3986 5.2.4)."""
    kept: list[str] = []
    *before, last = path[1:].split("/")
    for segment in (*before, last):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if last in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _body(command: _Command) -> bytes:
    if "head" in command.flags:
        return b""
    if command.parts:
        return _multipart(command.parts).encode("utf-8", "surrogateescape")
    data = "" if "get" in command.flags else command.data or ""
    return data.encode("utf-8", "surrogateescape")


def _multipart(parts: list[tuple[str, str, str]]) -> str:
    text = ""
    for name, media, content in parts:
        typed = f"Content-Type: {media}\r\n" if media else ""
        quoted = name.replace("\\", "\\\\").replace('"', "%22")
        text += f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{quoted}"\r\n{typed}\r\n{content}\r\n'
    return f"{text}--{_BOUNDARY}--\r\n"


def _fields(command: _Command, url: Target) -> tuple[Field, ...]:
    """Return the fields in curl's order; what `-H` names stands for curl's own, or (`Name:`) takes it out."""
    custom, named = _custom(command.headers)
    if "json" in command.flags:
        custom += [pair for pair in _JSON if pair[0].lower() not in named]
        named.update((b"accept", b"content-type"))
    own = [*_login(command, url, custom), *_asking(command)]
    if command.cookies:
        own.append((b"Cookie", ";".join(command.cookies).encode("utf-8", "surrogateescape")))
    kept = [pair for pair in own if pair[0].lower() not in named]
    body = _body(command)
    framing: list[Field] = []
    if body or (command.data is not None and _method(command) == "POST"):
        media = b"multipart/form-data; boundary=" + _BOUNDARY.encode() if command.parts else _FORM
        framing = [(b"Content-Length", b"%d" % len(body)), (b"Content-Type", media)]
    return (*kept, *custom, *(pair for pair in framing if pair[0].lower() not in named))


def _custom(headers: list[str]) -> tuple[list[Field], set[bytes]]:
    """Return the fields of `-H`, and all names it speaks of."""
    fields: list[Field] = []
    named: set[bytes] = set()
    for text in headers:
        if ":" not in text and text.endswith(";"):  # curl's way to send an empty value
            found = (text[:-1].encode("utf-8", "surrogateescape"), b"")
            fields.append(found)
        else:
            found = parse_field(text)
            fields += [found] if found[1] else []
        named.add(found[0].lower())
    return fields, named


def _login(command: _Command, url: Target, custom: list[Field]) -> tuple[Field, ...]:
    if "oauth2-bearer" in command.said:
        return ((b"Authorization", b"Bearer " + command.said["oauth2-bearer"].encode("utf-8", "surrogateescape")),)
    if "user" not in command.said:
        return basic_login(url.userinfo, custom)
    if ":" not in command.said["user"]:
        raise _bad("option --user: 'user:password' is expected; curl would ask for the password")
    return (basic(command.said["user"]),)


def _asking(command: _Command) -> Iterator[Field]:
    """Give what curl says of itself and of the answer it wants."""
    said = command.said
    if "range" in said:
        yield b"Range", b"bytes=" + said["range"].encode()
    agent = said.get("user-agent", "curl")
    if agent:
        yield b"User-Agent", agent.encode("utf-8", "surrogateescape")
    yield b"Accept", b"*/*"
    if "compressed" in command.flags:
        yield b"Accept-Encoding", _ENCODINGS
    if referer := said.get("referer", "").removesuffix(";auto"):
        yield b"Referer", referer.encode("utf-8", "surrogateescape")
