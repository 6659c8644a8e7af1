-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. ARGV: owner, now.
-- Gives what is told of the record, or nothing when the lease is lost.

local key = KEYS[1]
local now = clock(struct.unpack('>d', ARGV[2]))
local record = load(key)
if not record or record.owner ~= ARGV[1] then
    return false
end
if record.status == IN_PROGRESS then
    record.lease_until = now + record.lease_for
    record.kept[1] = head_of(record)
    redis.call('HSET', key, 'h', record.kept[1])
elseif record.status ~= UNKNOWN then
    return false
end
return told(record, now)
