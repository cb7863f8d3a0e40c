"""Redis: the switch, the nodes, the score, the tokens. The only importer of `redis`.

Every call is bounded (1 s to connect, 2 s to answer) and raises `Unavailable` when Redis cannot be used.
Every call may be repeated after a lost answer, so that one retry for a connection that died in the pool
does no harm.

Keys: `esr:switch` the document; `esr:node` the ids of registered nodes, `esr:node:{id}` what each says, `esr:heard`
when it said so by the clock of Redis; `esr:score:{drill}:sequences|counters|users|wait|pacing|keys`, the last of them
the newest idempotency keys; `esr:token:{sha256}`; `esr:jar:{drill}` the sealed pockets of
its clients, `esr:jar:{drill}:ended` that there are none any more, `esr:jar:{drill}:pledge` whose workers count on
being told of writes, `esr:jar:{drill}:mixed` that not all of them can be; `esr:outbox:{drill}` what mocks swallowed.
Channels `esr:switch` and `esr:node` are hints: whoever listens also polls.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from itertools import chain
from urllib.parse import urlsplit

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from switchboard import store_scripts
from switchboard.drill import SwitchDocument
from switchboard.errors import BadInput, Conflict, Unavailable
from switchboard.node import NodeState
from switchboard.pocket import Written
from switchboard.scorecard import ScoreDelta, ScoreTotals, merge

SWITCH = "esr:switch"
NODES = "esr:node"
HEARD = "esr:heard"
TAKEN_S = 5.0  # five heartbeats: for as long a silent node keeps its id
MOST_KEYS = 10_000
CONNECT_TIMEOUT_S = 1.0
CALL_TIMEOUT_S = 2.0
KEEP_SCORE_S = 30 * 86_400
KEEP_END_S = 30 * 86_400
MOST_JARS = 50_000
MIXED_S = 3600
MOST_OUTBOX = 10_000
_SCORE_PARTS = ("sequences", "counters", "users", "wait", "pacing", "keys")


class Store:
    """What is shared between admin and nodes. Get one with `Store.open(url)`."""

    def __init__(self, client: Redis, place: str) -> None:
        self._client = client
        self._place = place
        self._write_switch = client.register_script(store_scripts.WRITE_SWITCH)
        self._restore_switch = client.register_script(store_scripts.RESTORE_SWITCH)
        self._acknowledge = client.register_script(store_scripts.ACKNOWLEDGE)
        self._goodbye = client.register_script(store_scripts.GOODBYE)
        self._add_score = client.register_script(store_scripts.ADD_SCORE)
        self._read_pledged = client.register_script(store_scripts.READ_PLEDGED)
        self._write_jar = client.register_script(store_scripts.WRITE_JAR)
        self._add_outbox = client.register_script(store_scripts.ADD_OUTBOX)

    @staticmethod
    @asynccontextmanager
    async def open(url: str) -> AsyncIterator[Store]:
        """Yield a store at `redis://`, `rediss://` or `unix://`; does not fail when Redis is away."""
        try:
            client = Redis.from_url(
                url,
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                socket_timeout=CALL_TIMEOUT_S,
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
                encoding_errors="backslashreplace",  # names from outside may hold lone surrogates
            )
        except (ValueError, TypeError) as error:
            raise BadInput(
                f"redis: {_without_password(url)!r} is not a Redis URL like 'redis://127.0.0.1:6379/0' "
                f"or 'unix:///run/redis.sock' ({error})"
            ) from error
        try:
            yield Store(client, _without_password(url))
        finally:
            await client.aclose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with _cancellable():
                yield
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            raise Unavailable(
                f"Redis at {self._place} cannot be used ({str(error) or type(error).__name__}): "
                "see that it runs, or give its URL with --redis",
                code="redis_unavailable",
            ) from error

    async def ping(self) -> None:
        """Return when Redis answers; raises Unavailable."""
        with self._translated():
            await self._client.ping()

    # -- switch

    async def read_switch(self) -> SwitchDocument | None:
        """Return the stored document, None when there is none; Unavailable also for an unreadable one."""
        with self._translated():
            text = await self._client.get(SWITCH)
        if text is None:
            return None
        try:
            return SwitchDocument.model_validate_json(text)
        except ValidationError as error:
            raise Unavailable(
                f"what Redis at {self._place} holds in '{SWITCH}' is not a document of this version: {error}",
                code="switch_unreadable",
            ) from error

    async def write_switch(self, document: SwitchDocument, *, after: int | None = None) -> None:
        """Store a document over the one of the epoch `after`, by default the one just below its own.

        Raises Conflict (`epoch_moved`) when another one is stored, or one of another lineage.
        """
        upon = document.epoch - 1 if after is None else after
        with self._translated():
            written, epoch = await self._write_switch(
                keys=[SWITCH], args=[document.model_dump_json(), upon, SWITCH, document.epoch, document.lineage]
            )
        if not written:
            raise Conflict(
                f"the switch is at epoch {epoch}, not at {upon} of lineage {document.lineage or 'none'}: "
                "somebody changed it meanwhile; look at the state and try again",
                code="epoch_moved",
            )

    async def restore_switch(self, document: SwitchDocument) -> bool:
        """Put a document back that Redis lost; False when Redis holds one that is as new."""
        with self._translated():
            return bool(
                await self._restore_switch(keys=[SWITCH], args=[document.model_dump_json(), document.epoch, SWITCH])
            )

    async def watch_switch(self, *, after: int = -1, poll_s: float = 0.25) -> AsyncIterator[SwitchDocument]:
        """Yield every document whose epoch is higher than the last one's (first: than `after`).

        Outages, a missing document and a lower one yield nothing: whoever listens keeps what it had.
        """
        async with aclosing(self._hints(SWITCH, poll_s)) as hints:
            async for _ in hints:
                try:
                    document = await self.read_switch()
                except Unavailable:
                    continue
                if document is not None and document.epoch > after:
                    after = document.epoch
                    yield document

    # -- nodes

    async def acknowledge(self, node: NodeState) -> None:
        """Register a node or renew what it says of itself; it stays until `goodbye`.

        Raises Conflict (`node_taken`) while another incarnation holds the id and was heard within `TAKEN_S`.
        """
        with self._translated():
            registered, *silent_s = await self._acknowledge(
                keys=_node_keys(node.id), args=[node.model_dump_json(), node.id, node.incarnation, TAKEN_S]
            )
        if not registered:
            raise Conflict(
                f"node '{node.id}' is another process, heard {_text(silent_s[0])} s ago: give each its own id "
                f"with --node, or end that one (its id is free {TAKEN_S:g} s after its last word)",
                code="node_taken",
            )

    async def goodbye(self, node_id: str, incarnation: str | None = None) -> bool:
        """Take a node off the register if this incarnation holds the id, by default whichever does.

        Returns whether the id is free now; unknown ids are. Raises Unavailable.
        """
        own = [] if incarnation is None else [incarnation]
        with self._translated():
            return bool(await self._goodbye(keys=_node_keys(node_id), args=[node_id, *own]))

    async def nodes(self) -> tuple[NodeState, ...]:
        """Return every registered node, sorted by id; raises Unavailable."""
        with self._translated():
            ids = sorted(_text(one) for one in await self._client.smembers(NODES))
            texts = await self._client.mget([f"{NODES}:{one}" for one in ids]) if ids else []
        try:
            return tuple(NodeState.model_validate_json(text) for text in texts if text is not None)
        except ValidationError as error:
            raise Unavailable(
                f"what Redis at {self._place} holds in '{NODES}:*' is not of this version: {error}",
                code="node_unreadable",
            ) from error

    async def watch_nodes(self, *, poll_s: float = 0.25) -> AsyncIterator[tuple[NodeState, ...]]:
        """Yield the registered nodes now and whenever one of them changes; outages yield nothing."""
        last: tuple[NodeState, ...] | None = None
        async with aclosing(self._hints(NODES, poll_s)) as hints:
            async for _ in hints:
                try:
                    nodes = await self.nodes()
                except Unavailable:
                    continue
                if nodes != last:
                    last = nodes
                    yield nodes

    async def _hints(self, channel: str, poll_s: float) -> AsyncGenerator[None, None]:
        """Yield once at the start, then after each message on the channel, and at least every `poll_s`."""
        while True:
            async with aclosing(self._messages(channel, poll_s)) as messages:
                async for _ in messages:
                    yield
            await asyncio.sleep(poll_s)  # polling goes on while the channel is away
            yield

    async def _messages(self, channel: str, poll_s: float) -> AsyncGenerator[None, None]:
        """Yield after subscribing, after each message and each silence; end when the connection does."""
        with suppress(RedisError, OSError):
            async with self._client.pubsub(ignore_subscribe_messages=True) as listener:
                with _cancellable():
                    await listener.subscribe(channel)
                while True:
                    yield
                    with _cancellable():
                        await listener.get_message(timeout=poll_s)

    # -- score

    async def add_score(self, drill_id: str, delta: ScoreDelta) -> bool:
        """Count a delta once; False when its (writer, sequence) or its key was counted before. Raises Unavailable."""
        head: list[str | bytes | int] = [
            delta.writer,
            delta.sequence,
            delta.wait,
            delta.pacing,
            KEEP_SCORE_S,
            len(delta.counters),
            delta.key,
            MOST_KEYS,
        ]
        counters: Iterable[str | int] = chain.from_iterable(delta.counters.items())
        with self._translated():
            return bool(
                await self._add_score(
                    keys=[_score_key(drill_id, part) for part in _SCORE_PARTS],
                    args=[*head, *counters, *delta.users],
                )
            )

    async def has_counted(self, drill_id: str, key: str) -> bool:
        """Tell whether a delta with this key is among the newest that were counted; raises Unavailable."""
        with self._translated():
            return await self._client.zscore(_score_key(drill_id, "keys"), key) is not None

    async def read_score(self, drill_id: str) -> ScoreTotals:
        """Return the sum over all writers, zeros for a drill that nobody counted for; raises Unavailable."""
        with self._translated():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hgetall(_score_key(drill_id, "counters"))
                pipe.scard(_score_key(drill_id, "users"))
                pipe.hvals(_score_key(drill_id, "wait"))
                pipe.hvals(_score_key(drill_id, "pacing"))
                counters, users, wait, pacing = await pipe.execute()
        return ScoreTotals(
            counters={_text(name): int(value) for name, value in counters.items()},
            users=users,
            wait=merge(wait),
            pacing=merge(pacing),
        )

    # -- jars

    async def read_jars(self, drill_id: str, keys: Sequence[str]) -> list[bytes | None]:
        """Return what is stored for each key, None for nothing; raises Unavailable."""
        with self._translated():
            found = await self._client.hmget(_jar_key(drill_id), list(keys))
        return [None if data is None else _bytes(data) for data in found]

    async def read_pledged(
        self, drill_id: str, keys: Sequence[str], *, board: str, hold_ms: int
    ) -> tuple[str, list[bytes | None]]:
        """Return what `read_jars` does, and before it the term of a pledge on `board`, "" where none is given.

        For `hold_ms` it keeps writers of other boards waiting; the term is the same as long as it did so without a gap.
        """
        jars, term = _jar_key(drill_id), f"{board} {uuid.uuid4().hex}"
        with self._translated():
            term, *found = await self._read_pledged(
                keys=[jars, f"{jars}:pledge", f"{jars}:mixed"], args=[board, term, hold_ms, *keys]
            )
        return _text(term), [None if data is None else _bytes(data) for data in found]

    async def write_jar(
        self, drill_id: str, key: str, data: bytes, *, expected: bytes | None, ttl_s: int, board: str | None = None
    ) -> tuple[Written, bytes | None]:
        """Store `data` over `expected` (None: over nothing); with CONFLICT comes what is stored instead.

        `ttl_s` keeps all jars of the drill from now on. `board` is where the writer tells of it, "" nowhere, None
        that nobody need be told. Raises Unavailable.
        """
        jars = _jar_key(drill_id)
        with self._translated():
            outcome, *stored = await self._write_jar(
                keys=[jars, f"{jars}:ended", f"{jars}:pledge", f"{jars}:mixed"],
                args=[key, data, expected or b"", ttl_s, MOST_JARS, "*" if board is None else board, MIXED_S],
            )
        return Written(outcome), stored[0] if stored else None

    async def drop_jars(self, drill_id: str) -> None:
        """Delete every jar of a drill and refuse those that come too late; may be repeated. Raises Unavailable."""
        with self._translated():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.set(f"{_jar_key(drill_id)}:ended", 1, ex=KEEP_END_S)
                pipe.delete(_jar_key(drill_id))
                await pipe.execute()

    # -- outbox

    async def add_outbox(self, drill_id: str, entry: bytes, *, entry_id: str | None = None) -> bool:
        """Add what a mock swallowed; False when the entry of this id was added before. Raises Unavailable."""
        name = entry_id if entry_id is not None else uuid.uuid4().hex
        with self._translated():
            return bool(
                await self._add_outbox(
                    keys=[_outbox_key(drill_id)],
                    args=[name.encode() + b"\0" + entry, MOST_OUTBOX, KEEP_SCORE_S],
                )
            )

    async def read_outbox(self, drill_id: str, limit: int) -> list[bytes]:
        """Return the newest entries, the newest first; raises Unavailable."""
        with self._translated():
            entries = await self._client.lrange(_outbox_key(drill_id), 0, limit - 1) if limit > 0 else []
        return [_bytes(entry).partition(b"\0")[2] for entry in entries]

    # -- tokens

    async def put_token(self, digest: str, *, ttl_s: int) -> None:
        """Make a token (its SHA-256 in hex) known to every admin for `ttl_s`; whoever issued it renews it."""
        with self._translated():
            await self._client.set(f"esr:token:{digest}", "admin", ex=ttl_s)

    async def has_token(self, digest: str) -> bool:
        """Tell whether some admin vouches for the token with this SHA-256; raises Unavailable."""
        with self._translated():
            return bool(await self._client.exists(f"esr:token:{digest}"))


@contextmanager
def _cancellable() -> Iterator[None]:
    """Raise a cancellation that got lost inside.

    redis sends with `asyncio.wait_for`, and until Python 3.12 that swallows a cancellation which arrives just as
    the write completes (python/cpython#86296): a node could then not be stopped.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def _node_keys(node_id: str) -> list[str]:
    return [f"{NODES}:{node_id}", NODES, HEARD]


def _score_key(drill_id: str, part: str) -> str:
    return f"esr:score:{drill_id}:{part}"


def _jar_key(drill_id: str) -> str:
    return f"esr:jar:{drill_id}"


def _outbox_key(drill_id: str) -> str:
    return f"esr:outbox:{drill_id}"


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
