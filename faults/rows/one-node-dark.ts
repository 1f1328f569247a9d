import type { Row } from '../row.ts';

/** The SDK gives a dial ten seconds, then waits up to two and takes the next address. */
const ATTEMPT_MS = 10_000;
const LIMIT_MS = ATTEMPT_MS + 2000 + 1000;

export const oneNodeDark: Row = {
  name: 'one-node-dark',
  number: '36',
  fault:
    'the load balancer still sends connections to one node of three, which is dark: it takes them and says nothing',
  pass: `everybody is live after two attempts: ${LIMIT_MS} ms; the cursor is good on any node, no reset`,
  without: ['rotation'],
  twin: 'the app dials the address it had',
  limits: { detectMs: 6500, convergeMs: LIMIT_MS },
  async run(stage) {
    const { nodes, orders } = await stage.site({ nodes: 3 });
    const paths = await Promise.all(nodes.map((node) => stage.proxy(node.port)));
    const urls = paths.map(({ port }) => `http://127.0.0.1:${port}`);
    const others = stage.company(nodes.slice(1));
    const count = stage.quick ? 15 : 60;
    const own = (i: number) =>
      stage.without('rotation') ? [urls[i]!] : [...urls.slice(i), ...urls.slice(0, i)];
    for (const i of [0, 1, 2]) await stage.watch(others, orders, count, own(i), { first: 0 });
    const stop = others.keepPosting(orders, 10);
    stage.injected();
    paths[0]!.set({ blackhole: true });
    await stage.pause(1000);
    // Those of another node are sent there, too: they lose their socket and the next address they take is dark.
    paths[2]!.reset();
    stage.healed();
    await stage.pause(LIMIT_MS + 1000);
    await stop();
    await stage.quiet(3000);
    return { apps: 3 * count };
  },
};
