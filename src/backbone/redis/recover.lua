-- Where an order's log stands, its snapshot, and what happened since a cursor, all at one moment.
-- KEYS  1 m  2 s  3 st (see append.lua)
-- ARGV  none: only the state. Or 1 epoch  2 offset  3 id of the cursor  4 most entries to give
-- Gives nil if there is no log, else {epoch, offset, id, snapshot, verdict, then per entry: offset, id, prev, at, data}.
local epoch, top, head = unpack(redis.call('HMGET', KEYS[1], 'e', 's', 'h'))
local snapshot = redis.call('GET', KEYS[3])
if not epoch or not snapshot then return false end

local function answer(verdict) return {epoch, top, head, snapshot, verdict} end
if #ARGV == 0 then return answer('ok') end

local offset, id, limit = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local missed = tonumber(top) - offset
if ARGV[1] ~= epoch then return answer('epoch') end
if missed < 0 then return answer('ahead') end
if missed == 0 then return answer(id == head and 'ok' or 'diverged') end
if missed > limit then return answer('limit') end

local reply, prev = answer('ok'), id
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], string.format('%.0f-0', offset + 1), '+')) do
  local data, at = entry[2][2], entry[2][8]
  offset = offset + 1
  if entry[1] ~= string.format('%.0f-0', offset) then return answer('trimmed') end
  if entry[2][6] ~= prev then return answer('diverged') end
  prev = entry[2][4]
  for _, value in ipairs({string.format('%.0f', offset), prev, entry[2][6], at, data}) do
    reply[#reply + 1] = value
  end
end
if offset ~= tonumber(top) then return answer('trimmed') end
return reply
