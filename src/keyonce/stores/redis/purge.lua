-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. ARGV: now. Gives whether anything was removed.

local key = KEYS[1]
local now = clock(struct.unpack('>d', ARGV[1]))
local record = load(key)
if not record or now < record.expires then
    return 0
end
record = standing(record, now)
if not record then
    redis.call('UNLINK', key)
    return 1
end
redis.call('HSET', key, 'h', record.kept[1])
redis.call('HDEL', key, 'd', 'm', 'o')
return 1
