-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. ARGV: owner, outcome, terms, [reference].
-- Gives what is told of the record; its head, fingerprint, field map and reference
-- when this outcome was stored just now; nothing when there is no record.

local key, owner, reference = KEYS[1], ARGV[1], ARGV[4]
local retention_for, late_for, now = struct.unpack('>ddd', ARGV[3])
now = clock(now)
local record = load(key)
if not record then
    return false
end
if record.owner ~= owner
    or (record.status ~= IN_PROGRESS and record.status ~= UNKNOWN) then
    return told(record, now)
end

local was_unknown, kept = record.status == UNKNOWN, record.kept
record.status, record.crashes, record.ended = COMPLETED, 0, now
record.expires, record.late = now + retention_for, NEVER
if late_for > 0 and record.expires ~= NEVER then
    record.late = record.expires + late_for
end
local head = head_of(record)
if reference then
    redis.call('HSET', key, 'h', head, 'o', ARGV[2], 'r', reference)
else
    redis.call('HSET', key, 'h', head, 'o', ARGV[2])
end
if was_unknown then
    redis.call('HDEL', key, 'w')
end
if kept[4] or kept[5] then
    redis.call('HDEL', key, 's', 'n')
end
if record.expires ~= NEVER then
    expire(key, record, now)
end
announce(key, record)
return {struct.pack('>d', now) .. head, kept[2], kept[3], reference or kept[5]}
