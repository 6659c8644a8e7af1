-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record, its audit. ARGV: terms (the third: 0 releases, 1 resolves with the
-- outcome, 2 forgets what has ended), outcome or nothing, what the audit says,
-- SHA-1 of an outcome that nobody can read or nothing, 1 if that is all that is wrong.
-- Gives 1 and what is told of the record, or 0 and what stands in the way.

local FORGETS = 2
local key = KEYS[1]
local retention_for, now, resolves, execution = struct.unpack('>ddBI4', ARGV[1])
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

local stored
local readable, record = pcall(load, key)
local given_up = ARGV[5] == '1' and readable and record and is_torn(record)
if resolves == FORGETS and not readable then
    error(record, 0)
end
if not readable or (record and is_torn(record) and not given_up) then
    record = damaged()
else
    stored = record and record.status
    record = standing(record, now)
end
if not record then
    return {0}
end
if resolves == FORGETS then
    if record.status == IN_PROGRESS or record.status == UNKNOWN
        or (execution > 0 and execution ~= record.executions) then
        return {0, unpack(told(record, now))}
    end
    redis.call('LPUSH', KEYS[2], struct.pack('>dB', now, stored) .. ARGV[3])
    redis.call('UNLINK', key)
    return {1, unpack(told(record, now))}
end
if not ((given_up and record.status == COMPLETED) or record.status == UNKNOWN
    or (record.status == IN_PROGRESS and lease_ended(record, now))) then
    return {0, unpack(told(record, now))}
end
if execution > 0 and execution ~= record.executions then
    return {0, unpack(told(record, now))}
end

local before = record.status
record.owner, record.crashes, record.ended, record.late = '', 0, now, NEVER
record.expires = now + retention_for
record.status = resolves == 1 and COMPLETED or RELEASED
local kept = record.kept
kept[1], kept[6] = head_of(record), 'operator'
if resolves == 1 then
    kept[4] = ARGV[2]
    redis.call('HSET', key, 'h', kept[1], 'w', 'operator', 'o', ARGV[2])
    redis.call('HDEL', key, 's', 'n')
else
    kept[2], kept[3] = false, false
    if before == COMPLETED then
        kept[4] = false -- an outcome that is given up; else the steps, which stay
    end
    redis.call('HSET', key, 'h', kept[1], 'w', 'operator')
    redis.call('HDEL', key, 'd', 'm', 'o')
end
expire(key, record, now)
announce(key, record)
redis.call('LPUSH', KEYS[2], struct.pack('>dB', now, before) .. ARGV[3])
return {1, unpack(told(record, now))}
