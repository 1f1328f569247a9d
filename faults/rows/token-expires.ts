import { EXPIRY_GRACE_MS } from '../../src/edge/auth.ts';
import { whoOf } from '../company.ts';
import type { Row } from '../row.ts';
import { mintShort } from '../short-tokens.ts';
import type { SightKind } from '../sights.ts';
import type { Stage } from '../stage.ts';

const TTL_S = 4;
const APPS = 10;
/** Sessions are looked at once a second. */
const SWEEP_MS = 1000;
/** ms that a revocation may take to reach a socket on another node. */
const REVOKED_MS = 1000;
/** What comes from the gateway and not from the app itself. */
const HEARD: ReadonlySet<SightKind> = new Set(['event', 'snapshot', 'reset', 'jump', 'position']);

export const tokenExpires: Row = {
  name: 'token-expires',
  number: '32',
  fault: `tokens good for ${TTL_S} s: some apps renew them, some cannot; others are revoked on another node`,
  pass: `who renews keeps link and events; nothing comes ${EXPIRY_GRACE_MS} ms + a sweep after an expiry, or ${REVOKED_MS} ms after a revocation`,
  without: ['expiry'],
  twin: 'a token that was taken once counts for as long as its socket',
  limits: { detectMs: 1000, convergeMs: 1000 },
  async run(stage) {
    const { urls, company, orders } = await stage.site();
    const watch = (order: string, more: object) => stage.watch(company, [order], APPS, [urls[0]!], more);
    const plan = (order: string) => ({ secret: stage.secret, customer: whoOf(order).customer, ttlS: TTL_S });
    const [renewed, expired, revoked] = orders as [string, string, string];
    const riders = await stage.riders(company, [renewed, expired, revoked], urls[0]!);
    const renewing = await watch(renewed, { tokens: plan(renewed) });
    const token = await mintShort(plan(expired));
    const expiresAt = 1000 * JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).exp;
    const expiring = await watch(expired, { token });
    const voided = await watch(revoked, {});
    for (const app of [...expiring, ...voided]) stage.gone.add(app);
    riders.keepPinging(5);
    const stop = company.keepPosting([renewed, expired, revoked], 15);
    await stage.pause(1500);
    stage.injected();
    await revoke(urls[1]!, await company.mint('service', 'company'), whoOf(revoked).customer);
    const revokedAt = Date.now();
    await stage.pause(expiresAt + EXPIRY_GRACE_MS + SWEEP_MS + 2000 - Date.now());
    await stop();
    await riders.rest();
    stage.healed();
    await stage.quiet(1000);
    const links = stage.audience.sights.filter(([app, , what, , n]) => what === 'link' && n === 0 && renewing.includes(app)); // biome-ignore format: short
    return {
      'links lost by who renews': links.length,
      'last word after expiry ms': lastWord(stage, expiring) - expiresAt,
      'last word after revocation ms': lastWord(stage, voided) - revokedAt,
    };
  },
  problems(_, extra, stage) {
    const problems = [];
    if (extra['links lost by who renews'] !== 0)
      problems.push(`${extra['links lost by who renews']} links lost`);
    const expiry = Number(extra['last word after expiry ms']);
    const revocation = Number(extra['last word after revocation ms']);
    if (expiry > EXPIRY_GRACE_MS + SWEEP_MS + 250 * stage.slack)
      problems.push(`heard ${expiry} ms after the expiry`);
    if (revocation > REVOKED_MS * stage.slack) problems.push(`heard ${revocation} ms after the revocation`);
    return problems;
  },
};

/** When any of these apps was last told something, ms since epoch. */
function lastWord(stage: Stage, apps: readonly number[]): number {
  const times = stage.audience.sights.flatMap(([app, at, what]) =>
    apps.includes(app) && HEARD.has(what) ? [at] : [],
  );
  return Math.max(...times);
}

async function revoke(url: string, token: string, customer: string): Promise<void> {
  const response = await fetch(`${url}/v1/revocations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ role: 'customer', sub: customer }),
  });
  if (!response.ok)
    throw new Error(`the revocation was answered ${response.status}: ${await response.text()}`);
}
