/**
 * The steps of a shared ledger, each of which Redis runs as one. A key has a hash with what was spent and set aside, and a sorted
 * set of the reservations that are open, by the time at which their gateway counts as dead. Times are in milliseconds since 1970.
 */

/** Brings an account to the present: reservations of dead gateways are charged their least, a window that is over starts anew. */
const present = `
local account, open = KEYS[1], KEYS[2]
local now, window_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local spent = tonumber(redis.call('HGET', account, 'spent') or '0')
local reserved = tonumber(redis.call('HGET', account, 'reserved') or '0')
local start = tonumber(redis.call('HGET', account, 'start') or now)
local function sizes(member) return member:match('^[^|]*|(%d+)|(%d+)$') end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', open, '-inf', now)) do
  local most, least = sizes(member)
  reserved = reserved - most
  spent = spent + least
  redis.call('ZREM', open, member)
end
if window_ms > 0 and now - start >= window_ms then
  spent = 0
  start = now
end
local function keep()
  redis.call('HSET', account, 'spent', string.format('%.0f', spent),
    'reserved', string.format('%.0f', reserved), 'start', string.format('%.0f', start))
end
`;

/** ARGV: now, window, cap, dead at, member. Answers { 1 } or { 0, tokens left, window start }. */
export const reserveScript = `${present}
local cap, dead_at, member = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local most = tonumber((sizes(member)))
local left = cap - spent - reserved
if most > left then
  keep()
  return { 0, string.format('%.0f', left), string.format('%.0f', start) }
end
reserved = reserved + most
redis.call('ZADD', open, dead_at, member)
keep()
return { 1 }
`;

/**
 * KEYS[3] holds the last batch of this gateway, so that one sent twice counts once. ARGV: now, window, dead at, batch, tokens of
 * requests without a reservation, number of settlements, then member and tokens of each, then the members that still run.
 */
export const settleScript = `${present}
local dead_at, batch, count = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
if batch > tonumber(redis.call('GET', KEYS[3]) or '0') then
  spent = spent + tonumber(ARGV[5])
  redis.call('SET', KEYS[3], ARGV[4], 'EX', 86400)
end
for index = 0, count - 1 do
  local member, used = ARGV[7 + 2 * index], tonumber(ARGV[8 + 2 * index])
  if redis.call('ZREM', open, member) == 1 then
    reserved = reserved - tonumber((sizes(member)))
    spent = spent + used
  end
end
for index = 7 + 2 * count, #ARGV do
  redis.call('ZADD', open, 'XX', dead_at, ARGV[index])
end
keep()
return 1
`;

/** ARGV: now, window. Answers { spent, set aside, window start }. */
export const usageScript = `${present}
keep()
return { string.format('%.0f', spent), string.format('%.0f', reserved), string.format('%.0f', start) }
`;

/** KEYS[1] is a bucket. ARGV: now, requests in a minute. Answers the milliseconds until the request may be made, 0 for at once. */
export const admitScript = `
local now, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local room = tonumber(redis.call('HGET', KEYS[1], 'room') or rate)
local at = tonumber(redis.call('HGET', KEYS[1], 'at') or now)
room = math.min(rate, room + math.max(0, now - at) * rate / 60000)
local wait = 0
if room >= 1 then room = room - 1 else wait = math.ceil((1 - room) * 60000 / rate) end
redis.call('HSET', KEYS[1], 'room', string.format('%.9f', room), 'at', string.format('%.0f', math.max(now, at)))
redis.call('PEXPIRE', KEYS[1], 120000)
return wait
`;
