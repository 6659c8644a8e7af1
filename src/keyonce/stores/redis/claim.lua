-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. ARGV: owner, fingerprint, terms, [field map].
-- Gives what is told of the record; when the key was given its head alone, or with
-- the reference and the steps that were left behind, where there are some.
-- Without a field map the key is not given: the answer is the clock alone.

local key, owner, fingerprint, fields = KEYS[1], ARGV[1], ARGV[2], ARGV[4]
local guarantee, lease_for, max_crashes, witnessed, now =
    struct.unpack('>BdI4dd', ARGV[3])
now = clock(now)
local stored = load(key)

-- Memory may be short: what makes the record larger comes first, and is refused
-- before anything has changed.
local function begin(created, executions, crashes, left)
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
    if stored then
        redis.call('HDEL', key, 'o', 'w', 'n', fields == '' and 'm' or 'o')
        if not left then
            redis.call('HDEL', key, 'r', 's')
        end
        redis.call('PERSIST', key)
    end
    local answer = struct.pack('>d', now) .. head
    if left and (left.kept[4] or left.kept[5]) then
        return {answer, left.kept[5], left.kept[4]}
    end
    return {answer}
end

local function unknown(record, why)
    record.status, record.ended = UNKNOWN, now
    record.kept[1], record.kept[6] = head_of(record), why
    redis.call('HSET', key, 'h', record.kept[1], 'w', why)
    announce(key, record)
    return told(record, now)
end

local record = standing(stored, now)
if not record then
    return begin(now, 1, 0, nil)
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
