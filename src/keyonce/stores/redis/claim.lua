-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. ARGV: owner, fingerprint, terms, [field map].
-- Gives what is told of the record, or its head alone when the key was given.
-- Without a field map the key is not given: the answer is the clock alone.

local key, owner, fingerprint, fields = KEYS[1], ARGV[1], ARGV[2], ARGV[4]
local guarantee, lease_for, max_crashes, witnessed, now =
    struct.unpack('>BdI4dd', ARGV[3])
now = clock(now)

-- Memory may be short: what makes the record larger comes first, and is refused
-- before anything has changed.
local function begin(created, executions, crashes, before)
    if not fields then
        return {struct.pack('>d', now)}
    end
    local head = head_of({
        status = IN_PROGRESS, guarantee = guarantee, owner = owner,
        executions = executions, crashes = crashes, created = created,
        claimed = now, lease_for = lease_for, lease_until = now + lease_for,
        ended = NEVER, expires = NEVER, late = NEVER
    })
    if fields == '' then
        redis.call('HSET', key, 'h', head, 'd', fingerprint)
    else
        redis.call('HSET', key, 'h', head, 'd', fingerprint, 'm', fields)
    end
    if before then
        redis.call('HDEL', key, 'o', 'r', 'w', fields == '' and 'm' or 'o')
        redis.call('PERSIST', key)
    end
    return {struct.pack('>d', now) .. head}
end

local function unknown(record, why)
    record.status, record.ended = UNKNOWN, now
    record.kept[1], record.kept[6] = head_of(record), why
    redis.call('HSET', key, 'h', record.kept[1], 'w', why)
    return told(record, now)
end

local stored = load(key)
local record = standing(stored, now)
if not record then
    return begin(now, 1, 0, stored)
end
if record.status == RELEASED then
    return begin(record.created, record.executions + 1, 0, record)
end
if record.status ~= IN_PROGRESS or record.owner == owner
    or witnessed ~= record.lease_until or not lease_ended(record, now)
    or record.kept[2] ~= fingerprint then
    return told(record, now)
end

record.crashes = record.crashes + 1
if record.guarantee == AT_MOST_ONCE then
    return unknown(record, 'lease-ended')
end
if record.crashes >= max_crashes then
    return unknown(record, 'parked')
end
return begin(record.created, record.executions + 1, record.crashes, record)
