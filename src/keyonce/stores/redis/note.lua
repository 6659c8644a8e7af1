-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. ARGV: owner, then fields, each with what it is to hold; steps first.
-- Gives whether the owner still holds the key.

local key = KEYS[1]
local record = load(key)
if not record or record.owner ~= ARGV[1]
    or (record.status ~= IN_PROGRESS and record.status ~= UNKNOWN) then
    return 0
end
if #ARGV > 1 then
    redis.call('HSET', key, unpack(ARGV, 2))
end
if ARGV[3] == '' then
    redis.call('HDEL', key, ARGV[2])
end
return 1
