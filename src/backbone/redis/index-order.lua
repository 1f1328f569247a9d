-- Puts an order into an index or takes it out, unless a higher version did so before.
-- KEYS  1 o (hash: order -> version|record)  2 t:ORDER (version that took it out)
-- ARGV  1 order  2 version  3 '1' put, '0' take out  4 record  5 ttl ms of the index  6 ttl ms of a removal
local known = redis.call('HGET', KEYS[1], ARGV[1])
known = known and string.match(known, '^(%d+)|') or redis.call('GET', KEYS[2])
if known and tonumber(known) > tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('DEL', KEYS[2])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[6])
end
return 1
