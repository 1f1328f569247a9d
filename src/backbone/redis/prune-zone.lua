-- Takes riders out of a zone who were seen to be elsewhere, unless they were noted again since.
-- KEYS  1 r (see touch-zone.lua)
-- ARGV  rider, ms as it was read, rider, ms ...
for i = 1, #ARGV, 2 do
  if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i])) == tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return 1
