-- Notes when riders were last heard in a zone, and forgets those silent for too long.
-- KEYS  1 r (sorted set: rider by last heard ms)
-- ARGV  1 ttl ms  2 heard before this ms: forget  3.. heard ms, rider, heard ms, rider ...
redis.call('ZADD', KEYS[1], 'GT', unpack(ARGV, 3))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
