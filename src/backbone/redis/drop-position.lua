-- Forgets a rider's position unless it is newer than the given one.
-- KEYS  1 p
-- ARGV  1 session  2 seq
local known = redis.call('GET', KEYS[1])
if not known then return 0 end
local session, seq = string.match(known, '^(%d+)|(%d+)|')
session, seq = tonumber(session) - tonumber(ARGV[1]), tonumber(seq) - tonumber(ARGV[2])
if session > 0 or (session == 0 and seq > 0) then return 0 end
return redis.call('DEL', KEYS[1])
