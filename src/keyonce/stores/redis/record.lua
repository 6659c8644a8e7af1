-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- One record is one hash; this stands before every script.
--
--   h  head: form:1 status:1 guarantee:1 executions:4 crashes:2, then seven
--      instants and spans as doubles in seconds, then the owner token
--   d  fingerprint: its scheme with the length in front, then the digest
--   m  field map   o  outcome   r  reference   w  reason (why)
--
-- No instant is written as infinity. A field that would be empty is not there.

local IN_PROGRESS, COMPLETED, UNKNOWN, RELEASED, TOMBSTONE = 1, 2, 3, 4, 5
local AT_MOST_ONCE = 3
local NEVER = math.huge
local FORM = 1
local HEAD = '>BBBI4I2ddddddd'
local SHORTEST = 65

-- Keys outlive their retention on the server's own clock by so much: whether a
-- record still holds is decided by the comparison below, and a server that takes
-- over may have a clock that is a little ahead.
local MARGIN = 300000
local LONGEST = 1e14

local function clock(given)
    if given ~= NEVER then
        return given
    end
    local time = redis.call('TIME')
    return (tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)) / 1000
end

local function head_of(record)
    return struct.pack(
        HEAD, FORM, record.status, record.guarantee, record.executions,
        record.crashes, record.created, record.claimed, record.lease_for,
        record.lease_until, record.ended, record.expires, record.late
    ) .. record.owner
end

local function record_of(head)
    if #head < SHORTEST or string.byte(head) ~= FORM then
        error('keyonce-unreadable', 0)
    end
    local record, rest = {}, nil
    local form
    form, record.status, record.guarantee, record.executions, record.crashes,
        record.created, record.claimed, record.lease_for, record.lease_until,
        record.ended, record.expires, record.late, rest = struct.unpack(HEAD, head)
    record.owner = string.sub(head, rest)
    if record.status < IN_PROGRESS or record.status > TOMBSTONE then
        error('keyonce-unreadable', 0)
    end
    return record
end

local function load(key)
    local head = redis.call('HGET', key, 'h')
    if head then
        return record_of(head)
    end
    if redis.call('EXISTS', key) == 1 then
        error('keyonce-unreadable', 0)
    end
    return nil
end

-- The rule of the same name in keyonce.core.transitions.
local function standing(record, now)
    if record == nil or now < record.expires then
        return record
    end
    if record.late ~= NEVER and now < record.late then
        record.status = TOMBSTONE
        record.expires = record.late
        return record
    end
    return nil
end

local function lease_ended(record, now)
    return now >= record.lease_until + record.lease_for / 3
end

local function told(key, record, now)
    local kept = redis.call('HMGET', key, 'd', 'm', 'o', 'r', 'w')
    if record.status == TOMBSTONE then
        kept[1], kept[2], kept[3] = false, false, false
    end
    local head = struct.pack('>d', now) .. head_of(record)
    return {head, kept[1], kept[2], kept[3], kept[4], kept[5]}
end

local function expire(key, record, now)
    local last = record.expires
    if record.late ~= NEVER then
        last = record.late
    end
    local span = math.ceil((last - now) * 1000) + MARGIN
    if span < LONGEST then
        redis.call('PEXPIRE', key, string.format('%d', math.max(span, 1)))
    else
        redis.call('PERSIST', key)
    end
end
