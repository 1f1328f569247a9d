import { connect, type Socket } from 'node:net';
import type { Row } from '../row.ts';

const ROOM = 300;
const HELLO_MS = 1000;
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

export const silentFlood: Row = {
  name: 'silent-flood',
  number: '33',
  fault: `a node with room for ${ROOM} sessions is filled with sockets that say nothing, and half-sent requests`,
  pass: 'those who are in notice nothing; others get in a second after the hello timeout and the SDK back-off: 10 s',
  without: ['hello timeout'],
  twin: 'a socket may take a minute to say hello (HELLO_TIMEOUT_MS)',
  limits: { detectMs: 1000, convergeMs: 10_000 },
  async run(stage) {
    const hello = stage.without('hello timeout') ? 60_000 : HELLO_MS;
    const env = { MAX_SESSIONS: `${ROOM}`, HELLO_TIMEOUT_MS: `${hello}` };
    const { nodes, urls, company, orders } = await stage.site({ nodes: 1, env });
    const apps = await stage.watch(company, orders, 50, urls);
    const stop = company.keepPosting(orders, 20);
    stage.injected();
    const flood = Array.from({ length: 3 * ROOM }, (_, i) => knock(nodes[0]!.port, i % 3 !== 0));
    stage.finally(async () => {
      for (const socket of flood) socket.destroy();
    });
    await stage.pause(500);
    const full = await stage.metric(nodes[0]!, 'ridecast_sessions');
    const others = stage.watch(company, orders, 20, urls).then(
      (ids) => ids,
      () => [],
    );
    stage.healed();
    const startedAt = Date.now();
    const admitted = await Promise.race([others, stage.pause(10_000).then(() => [])]);
    const ms = Date.now() - startedAt;
    await stop();
    await stage.quiet(2000);
    const mine = new Set(apps);
    const lost = stage.audience.sights.filter(
      ([app, , what, , n]) => what === 'link' && n === 0 && mine.has(app),
    ).length;
    return {
      'sessions when full': full,
      'others admitted': admitted.length,
      'after ms': ms,
      'links lost': lost,
    };
  },
  problems(_, extra) {
    const problems = [];
    if (Number(extra['sessions when full']) < ROOM) problems.push('the node was not full');
    if (extra['others admitted'] === 0) problems.push('the others did not get in');
    if (extra['links lost'] !== 0) problems.push(`${extra['links lost']} links were lost`);
    return problems;
  },
};

/** A socket that asks for a WebSocket, wholly or by half, and then is silent. */
function knock(port: number, whole: boolean): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  const head = `GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n`;
  socket.write(whole ? `${head}\r\n` : head);
  return socket;
}
