"""What Redis does in one step: the Lua texts of `store`, each under its contract."""

from __future__ import annotations

# KEYS[1] esr:switch; ARGV: the document, the epoch it builds upon, channel of the hint. Compare-and-set:
# written only when the stored epoch (0 when absent) is the one the writer saw. A document that is stored
# already counts as written, so that a call repeated after a lost answer does not look like a lost race.
# Returns {1, epoch} when written, {0, stored epoch} otherwise.
WRITE_SWITCH = """
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[1] then return {1, tonumber(ARGV[2]) + 1} end
local epoch = 0
if stored then epoch = cjson.decode(stored)['epoch'] end
if epoch ~= tonumber(ARGV[2]) then return {0, epoch} end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[2] + 1)
return {1, ARGV[2] + 1}
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

# KEYS: sequences, counters, users, wait, pacing (of one drill). ARGV: writer, sequence, wait histogram,
# pacing histogram, seconds to keep, number of counters,       then name and increment of each counter,
# then users. Sequences of a writer only grow: "not higher than the last one" means "counted before".
# Returns 1 when counted.
ADD_SCORE = """
local last = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if tonumber(ARGV[2]) <= last then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local first_user = 7 + 2 * tonumber(ARGV[6])
for i = 7, first_user - 1, 2 do redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1]) end
for i = first_user, #ARGV, 1000 do
  redis.call('SADD', KEYS[3], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[4], ARGV[1], ARGV[3]) end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[5], ARGV[1], ARGV[4]) end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[5]) end
return 1
"""
