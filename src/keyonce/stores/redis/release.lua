-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. ARGV: owner, reason, terms. Gives whether the key is free.

local key = KEYS[1]
local retention_for, now = struct.unpack('>dd', ARGV[3])
now = clock(now)
local record = load(key)
if not record or record.owner ~= ARGV[1] then
    return 0
end
if record.status == RELEASED then
    return 1
end
if record.status ~= IN_PROGRESS then
    return 0
end
record.status, record.crashes = RELEASED, 0
record.ended, record.expires = now, now + retention_for
redis.call('HSET', key, 'h', head_of(record), 'w', ARGV[2])
redis.call('HDEL', key, 'd', 'm')
announce(key, record)
expire(key, record, now)
return 1
