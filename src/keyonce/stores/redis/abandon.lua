-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. ARGV: owner, reason, now. Gives whether the record is unknown.

local key = KEYS[1]
local now = clock(struct.unpack('>d', ARGV[3]))
local record = load(key)
if not record or record.owner ~= ARGV[1] then
    return 0
end
if record.status == UNKNOWN then
    return 1
end
if record.status ~= IN_PROGRESS then
    return 0
end
record.status, record.ended = UNKNOWN, now
redis.call('HSET', key, 'h', head_of(record), 'w', ARGV[2])
announce(key, record)
return 1
