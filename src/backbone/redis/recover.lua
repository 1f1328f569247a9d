-- Where an order's log stands, its snapshot, and its last entries or what happened since a cursor, all at one moment.
-- KEYS  1 m  2 s  3 st (see append.lua)
-- ARGV  none: only the state. Or 1 how many of the last entries.
--       Or 1 epoch  2 offset  3 id of the cursor  4 most entries to give
-- Gives nil if there is no log, else {epoch, offset, id, snapshot, verdict, then per entry: offset, id, prev, at, data}.
local epoch, top, head = unpack(redis.call('HMGET', KEYS[1], 'e', 's', 'h'))
local snapshot = redis.call('GET', KEYS[3])
if not epoch or not snapshot then return false end

local function answer(verdict) return {epoch, top, head, snapshot, verdict} end
if #ARGV == 0 then return answer('ok') end

-- The entries after an offset, if they chain up to the top; else why not. `prev` false: whatever the first follows.
local function after(offset, prev)
  local reply = answer('ok')
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], string.format('%.0f-0', offset + 1), '+')) do
    local data, id, follows, at = entry[2][2], entry[2][4], entry[2][6], entry[2][8]
    offset = offset + 1
    if entry[1] ~= string.format('%.0f-0', offset) then return 'trimmed' end
    if prev and follows ~= prev then return 'diverged' end
    prev = id
    for _, value in ipairs({string.format('%.0f', offset), id, follows, at, data}) do reply[#reply + 1] = value end
  end
  if offset ~= tonumber(top) then return 'trimmed' end
  if prev and prev ~= head then return 'diverged' end
  return reply
end

if #ARGV == 1 then
  local first = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', ARGV[1])
  if not first or #first == 0 then return answer('ok') end
  local reply = after(tonumber(string.match(first[#first][1], '^%d+')) - 1, false)
  return type(reply) == 'table' and reply or answer('ok')
end

local offset, id, limit = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local missed = tonumber(top) - offset
if ARGV[1] ~= epoch then return answer('epoch') end
if missed < 0 then return answer('ahead') end
if missed == 0 then return answer(id == head and 'ok' or 'diverged') end
if missed > limit then return answer('limit') end

local reply = after(offset, id)
return type(reply) == 'table' and reply or answer(reply)
