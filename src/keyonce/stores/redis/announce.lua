-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. Gives whether somebody is at work, whose end will be told.

local record = load(KEYS[1])
if not record or record.status ~= IN_PROGRESS then
    return 0
end
if not record.awaited then
    redis.call('HSET', KEYS[1], 'a', '1')
end
return 1
