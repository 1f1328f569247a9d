-- The next session number of a rider: above the last one, and not below the floor.
-- KEYS  1 n
-- ARGV  1 floor  2 ttl ms
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
local number = string.format('%.0f', math.max(last + 1, tonumber(ARGV[1])))
redis.call('SET', KEYS[1], number, 'PX', ARGV[2])
return number
