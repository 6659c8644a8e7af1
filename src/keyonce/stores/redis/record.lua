-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- One record is one hash; this stands before every script.
--
--   h  head: form:1 status:1 guarantee:1 executions:4 crashes:2, then seven
--      instants and spans as doubles in seconds, then the owner token
--   d  fingerprint: its scheme with the length in front, then the digest
--   m  field map   o  outcome   r  reference   w  reason (why)
--   s  steps, until there is an outcome; n  the number of the owner's last note
--   a  somebody waits for the end of the work (awaited)
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

-- Gives the record, or nil. *kept* are its other fields, in the order of `told`; the
-- fourth is the outcome of a completed record, and the steps of any other.
local function load(key)
    local kept = redis.call('HMGET', key, 'h', 'd', 'm', 'o', 'r', 'w', 's', 'a', 'n')
    local head, noted, awaited = kept[1], table.remove(kept, 9), table.remove(kept, 8)
    local steps = table.remove(kept, 7)
    if not head then
        if kept[2] or kept[3] or kept[4] or kept[5] or kept[6] or steps then
            error('keyonce-unreadable', 0)
        end
        return nil
    end
    if #head < SHORTEST or string.byte(head) ~= FORM then
        error('keyonce-unreadable', 0)
    end
    local _, status, guarantee, executions, crashes, created, claimed, lease_for,
        lease_until, ended, expires, late, rest = struct.unpack(HEAD, head)
    if status < IN_PROGRESS or status > TOMBSTONE then
        error('keyonce-unreadable', 0)
    end
    if status ~= COMPLETED then
        if kept[4] then
            error('keyonce-unreadable', 0)
        end
        kept[4] = steps
    end
    return {
        status = status, guarantee = guarantee, executions = executions,
        crashes = crashes, created = created, claimed = claimed,
        lease_for = lease_for, lease_until = lease_until, ended = ended,
        expires = expires, late = late, owner = string.sub(head, rest), kept = kept,
        awaited = awaited, noted = tonumber(noted or 0)
    }
end

-- The rule of the same name in keyonce.core.transitions.
local function standing(record, now)
    if record == nil or now < record.expires then
        return record
    end
    if record.late == NEVER or now >= record.late then
        return nil
    end
    local kept = record.kept
    record.status, record.expires = TOMBSTONE, record.late
    kept[1], kept[2], kept[3], kept[4] = head_of(record), false, false, false
    return record
end

local function lease_ended(record, now)
    return now >= record.lease_until + record.lease_for / 3
end

-- Tells those who wait that the work has ended, by the digest of the key's name. That
-- they may be told is no condition of anything.
local function announce(key, record)
    if record.awaited then
        redis.call('HDEL', key, 'a')
        local channel = string.match(key, '^(.-):r:{') .. ':n'
        redis.pcall('PUBLISH', channel, redis.sha1hex(key))
    end
end

local function told(record, now)
    local kept = record.kept
    kept[1] = struct.pack('>d', now) .. kept[1]
    return kept
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
