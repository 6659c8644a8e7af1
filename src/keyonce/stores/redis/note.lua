-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. ARGV: owner, the note's number, then fields, each with what it is to
-- hold; steps first. A note that is older than the last changes nothing. Gives whether the owner still holds the key.

local key = KEYS[1]
local record = load(key)
if not record or record.owner ~= ARGV[1]
    or (record.status ~= IN_PROGRESS and record.status ~= UNKNOWN) then
    return 0
end
if tonumber(ARGV[2]) < record.noted then
    return 1
end
if #ARGV > 2 then
    redis.call('HSET', key, 'n', ARGV[2], unpack(ARGV, 3))
end
if ARGV[4] == '' then
    redis.call('HDEL', key, ARGV[3])
end
return 1
