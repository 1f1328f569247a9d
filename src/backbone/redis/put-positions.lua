-- Keeps positions, each unless a newer one is there. A value starts with its order and ends with the zone: session|seq|...|zone
-- KEYS  p of each rider
-- ARGV  1 ttl ms, then of each: session  seq  value
-- Gives for each 0: a newer one is there. 1: kept. 2: kept, and the rider was not in that zone before.
local function zone(value) return string.match(value, '[^|]*$') end
local function isNewer(known, session, seq)
  local knownSession, knownSeq = string.match(known, '^(%d+)|(%d+)|')
  session, seq = tonumber(session) - tonumber(knownSession), tonumber(seq) - tonumber(knownSeq)
  return session > 0 or (session == 0 and seq > 0)
end
local kept = {}
for i, key in ipairs(KEYS) do
  local session, seq, value = ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
  local known = redis.call('GET', key)
  if known and not isNewer(known, session, seq) then
    kept[i] = 0
  else
    redis.call('SET', key, value, 'PX', ARGV[1])
    kept[i] = known and zone(known) == zone(value) and 1 or 2
  end
end
return kept
