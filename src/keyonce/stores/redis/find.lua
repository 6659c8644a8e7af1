-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- KEYS: record. ARGV: now. Gives what is told of the record, or nothing.

local now = clock(struct.unpack('>d', ARGV[1]))
local record = standing(load(KEYS[1]), now)
if not record then
    return false
end
return told(record, now)
