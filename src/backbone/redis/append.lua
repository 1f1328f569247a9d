-- Appends one entry to an order's log, once, and tells the order's channel: all of it or nothing.
-- KEYS  1 m (hash: e epoch, s top offset, h newest id)  2 s (stream)  3 st (snapshot)  4 i:CMD (cursor given to it)
--       5 the order's channel
-- ARGV  1 expected offset  2 ttl ms  3 entry id  4 epoch of a new log  5 server ms  6 data  7 snapshot  8 entries kept
-- Gives {'appended' | 'duplicate', epoch, offset, id} or {'conflict', offset}.
local epoch, top, head = unpack(redis.call('HMGET', KEYS[1], 'e', 's', 'h'))
if not epoch or redis.call('EXISTS', KEYS[3]) == 0 then
  epoch, top, head = false, '0', ''
end

local seen = redis.call('GET', KEYS[4])
if seen then
  local of, offset, id = string.match(seen, '^([^|]*)|([^|]*)|(.*)$')
  -- A key may outlive the log it was used on; in another log it was not used.
  if of == epoch then return {'duplicate', of, offset, id} end
end
if tonumber(top) ~= tonumber(ARGV[1]) then return {'conflict', top} end

if not epoch then
  epoch = ARGV[4]
  -- What a lost log left behind would refuse ids that start from 1 again.
  redis.call('DEL', KEYS[1], KEYS[2])
end
local ttl, id, at, data = ARGV[2], ARGV[3], ARGV[5], ARGV[6]
local offset = string.format('%.0f', tonumber(top) + 1)
redis.call('HSET', KEYS[1], 'e', epoch, 's', offset, 'h', id)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[8], offset .. '-0', 'd', data, 'i', id, 'p', head, 't', at)
redis.call('SET', KEYS[3], ARGV[7], 'PX', ttl)
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('PEXPIRE', KEYS[2], ttl)
redis.call('SET', KEYS[4], epoch .. '|' .. offset .. '|' .. id, 'PX', ttl)
redis.call('PUBLISH', KEYS[5], table.concat({'E', epoch, offset, id, head, at, data}, '|'))
return {'appended', epoch, offset, id}
