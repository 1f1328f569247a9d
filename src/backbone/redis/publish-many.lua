-- Publishes messages in order.
-- ARGV  channel, payload, channel, payload, ...
-- Gives how many heard each.
local heard = {}
for i = 1, #ARGV, 2 do heard[#heard + 1] = redis.call('PUBLISH', ARGV[i], ARGV[i + 1]) end
return heard
