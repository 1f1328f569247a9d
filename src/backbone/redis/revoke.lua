-- Keeps since when a subject's tokens are void; the latest wins, and what is over goes.
-- KEYS  1 r (hash: subject -> before ms | until ms)
-- ARGV  1 subject  2 before ms  3 until ms  4 now ms
for _, subject in ipairs(redis.call('HKEYS', KEYS[1])) do
  local kept = string.match(redis.call('HGET', KEYS[1], subject), '|(%d+)$')
  if tonumber(kept) < tonumber(ARGV[4]) then redis.call('HDEL', KEYS[1], subject) end
end
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and tonumber(string.match(known, '^%d+')) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return 1
