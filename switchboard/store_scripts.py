"""What Redis does in one step: the Lua texts of `store`, each under its contract."""

from __future__ import annotations

# KEYS[1] esr:switch; ARGV: the document, the epoch it builds upon, channel of the hint, its own epoch, its
# lineage. Compare-and-set: written only when the stored epoch (0 when absent) is the one the writer saw, of the
# same lineage. A document that is stored already counts as written, so that a call repeated after a lost answer
# does not look like a lost race. Returns {1, epoch} when written, {0, stored epoch} otherwise.
WRITE_SWITCH = """
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[1] then return {1, tonumber(ARGV[4])} end
local epoch, lineage = 0, ARGV[5]
if stored then
  local found = cjson.decode(stored)
  epoch, lineage = found['epoch'], found['lineage'] or ''
end
if epoch ~= tonumber(ARGV[2]) or lineage ~= ARGV[5] then return {0, epoch} end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return {1, tonumber(ARGV[4])}
"""

# KEYS[1] esr:switch; ARGV: the document, its epoch, channel of the hint.
# Puts back what nodes still apply after Redis has lost data: writes only over an absent or a lower document.
RESTORE_SWITCH = """
local stored = redis.call('GET', KEYS[1])
if stored and cjson.decode(stored)['epoch'] >= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[2])
return 1
"""

# KEYS: esr:node:{id}, esr:node, esr:heard. ARGV: what the node says, its id (also the hint), its incarnation,
# seconds of silence after which another process may have the id. Silence is measured by the clock of Redis alone;
# a word from the future (that clock was put back) is no word. Returns {1} when registered, {0, seconds since the
# last word} when another incarnation holds the id.
ACKNOWLEDGE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local said = redis.call('GET', KEYS[1])
if said then
  local holder = cjson.decode(said)['incarnation'] or ''
  local silent = now - tonumber(redis.call('HGET', KEYS[3], ARGV[2]) or '0')
  if holder ~= '' and holder ~= ARGV[3] and math.abs(silent) < tonumber(ARGV[4]) then
    return {0, string.format('%.1f', silent)}
  end
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], string.format('%.6f', now))
redis.call('PUBLISH', KEYS[2], ARGV[2])
return {1}
"""

# KEYS: esr:node:{id}, esr:node, esr:heard. ARGV: the id, then the incarnation that goes (none: whoever holds the id).
# Returns 1 when the id is free now, 0 when another incarnation holds it.
GOODBYE = """
local said = redis.call('GET', KEYS[1])
if said and ARGV[2] and (cjson.decode(said)['incarnation'] or '') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('PUBLISH', KEYS[2], ARGV[1])
return 1
"""

# KEYS: sequences, counters, users, wait, pacing, keys (of one drill). ARGV: writer, sequence, wait histogram,
# pacing histogram, seconds to keep, number of counters, key ('' for none), most keys, then name and increment of
# each counter, then users. Sequences of a writer only grow: "not higher than the last one" means "counted before",
# and so does a key that is among the newest. Returns 1 when counted.
ADD_SCORE = """
local last = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if tonumber(ARGV[2]) <= last then return 0 end
if ARGV[7] ~= '' then
  if redis.call('ZSCORE', KEYS[6], ARGV[7]) then return 0 end
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[6], time[1] .. '.' .. string.format('%06d', time[2]), ARGV[7])
  redis.call('ZREMRANGEBYRANK', KEYS[6], 0, -1 - tonumber(ARGV[8]))
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local first_user = 9 + 2 * tonumber(ARGV[6])
for i = 9, first_user - 1, 2 do redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1]) end
for i = first_user, #ARGV, 1000 do
  redis.call('SADD', KEYS[3], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[4], ARGV[1], ARGV[3]) end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[5], ARGV[1], ARGV[4]) end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[5]) end
return 1
"""

# KEYS: the jars of a drill, its pledge, the mark that its writers are mixed. ARGV: a board, the term of a new pledge
# (begins with the board and a space), milliseconds that it holds, then keys of jars. Renews the pledge of this board,
# or gives one where there is none, unless writers are mixed. Returns the term ('' for no pledge), then what is stored
# for each key.
READ_PLEDGED = """
local held, found = redis.call('GET', KEYS[2]), {''}
if redis.call('EXISTS', KEYS[3]) == 0 then
  if not held then held = ARGV[2] end
  if string.sub(held, 1, #ARGV[1] + 1) == ARGV[1] .. ' ' then
    redis.call('SET', KEYS[2], held, 'PX', ARGV[3])
    found[1] = held
  end
end
for i = 4, #ARGV do found[i - 2] = redis.call('HGET', KEYS[1], ARGV[i]) end
return found
"""

# KEYS: the jars of a drill (a hash), the mark of its end, its pledge, the mark that its writers are mixed. ARGV: key of
# the jar, its new bytes, the bytes it builds upon ('' for none), seconds to keep, most jars, the writer's board ('' for
# none, '*' for what nobody counts on), seconds that writers count as mixed. Compare-and-set by the bytes themselves:
# sealing never gives the same ones twice. Bytes that are stored already count as written, as in WRITE_SWITCH. Nothing
# is written once the drill has ended, however late the writer comes.
# Returns {1} when written, {0, stored bytes or nothing} otherwise, {-1} after the end, {-2} when there is no room, {-3}
# while workers of another board hold a pledge; they get no other.
WRITE_JAR = """
if redis.call('EXISTS', KEYS[2]) == 1 then return {-1} end
if ARGV[6] ~= '*' then
  local held = redis.call('GET', KEYS[3])
  if held and string.sub(held, 1, #ARGV[6] + 1) ~= ARGV[6] .. ' ' then
    redis.call('SET', KEYS[4], 1, 'EX', ARGV[7])
    return {-3}
  end
end
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored == ARGV[2] then return {1} end
if (stored or '') ~= ARGV[3] then return {0, stored} end
if not stored and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return {-2} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return {1}
"""

# KEYS[1] the outbox of a drill, newest first; ARGV: the entry, most entries, seconds to keep.
# An entry that is among the newest 1,000 already was added by the same call before its answer got lost.
# Returns 1 when added.
ADD_OUTBOX = """
if redis.call('LPOS', KEYS[1], ARGV[1], 'MAXLEN', 1000) then return 0 end
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
