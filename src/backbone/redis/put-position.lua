-- Keeps a position unless a newer one is there. The value starts with its order and ends with the zone: session|seq|...|zone
-- KEYS  1 p
-- ARGV  1 session  2 seq  3 value  4 ttl ms
-- Gives 0: a newer one is there. 1: kept. 2: kept, and the rider was not in that zone before.
local known = redis.call('GET', KEYS[1])
if known then
  local session, seq = string.match(known, '^(%d+)|(%d+)|')
  session, seq = tonumber(session) - tonumber(ARGV[1]), tonumber(seq) - tonumber(ARGV[2])
  if session > 0 or (session == 0 and seq >= 0) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
local function zone(value) return string.match(value, '[^|]*$') end
return known and zone(known) == zone(ARGV[3]) and 1 or 2
