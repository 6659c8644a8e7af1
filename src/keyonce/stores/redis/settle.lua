-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record, its audit. ARGV: terms, outcome or nothing, what the audit says,
-- SHA-1 of an outcome that nobody can read or nothing.
-- Gives 1 and what is told of the record, or 0 and what stands in the way.

local key = KEYS[1]
local retention_for, now, resolves = struct.unpack('>ddB', ARGV[1])
now = clock(now)

local function is_torn(record)
    if record.status ~= COMPLETED or ARGV[4] == '' then
        return false
    end
    return redis.sha1hex(record.kept[4] or '') == ARGV[4]
end

local function damaged()
    redis.call('DEL', key)
    return {
        status = UNKNOWN, guarantee = AT_MOST_ONCE, owner = '', executions = 1,
        crashes = 0, created = 0, claimed = 0, lease_for = 0, lease_until = 0,
        ended = NEVER, expires = NEVER, late = NEVER,
        kept = {false, false, false, false, false, false}
    }
end

local readable, record = pcall(load, key)
if not readable or (record and is_torn(record)) then
    record = damaged()
else
    record = standing(record, now)
end
if not record then
    return {0}
end
if not (record.status == UNKNOWN
    or (record.status == IN_PROGRESS and lease_ended(record, now))) then
    return {0, unpack(told(record, now))}
end

local before = record.status
record.owner, record.crashes, record.ended = '', 0, now
record.expires = now + retention_for
record.status = resolves == 1 and COMPLETED or RELEASED
local kept = record.kept
kept[1], kept[6] = head_of(record), 'operator'
if resolves == 1 then
    kept[4] = ARGV[2]
    redis.call('HSET', key, 'h', kept[1], 'w', 'operator', 'o', ARGV[2])
else
    kept[2], kept[3], kept[4] = false, false, false
    redis.call('HSET', key, 'h', kept[1], 'w', 'operator')
    redis.call('HDEL', key, 'd', 'm', 'o')
end
expire(key, record, now)
redis.call('LPUSH', KEYS[2], struct.pack('>dB', now, before) .. ARGV[3])
return {1, unpack(told(record, now))}
