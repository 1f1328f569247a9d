/** The demo: a gateway, a city, riders, orders and a page, in one process. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, loadConfig } from '../src/config.ts';
import { type Gateway, startGateway } from '../src/gateway.ts';
import { type City, makeCity } from './city.ts';
import { cityMap, zones } from './city-map.ts';
import { CUSTOMER, SHOPS, type Simulation, startSimulation } from './simulation.ts';
import { type Mint, makeMint } from './tokens.ts';

export interface Demo {
  readonly gateway: Gateway;
  readonly links: { readonly customer: string; readonly partner: string; readonly operator: string };
  stop(): Promise<void>;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Orders of a demo that was killed are gone from Redis after this, ms. */
const ORDER_TTL_MS = 600_000;

/**
 * Starts the demo: the gateway as `env` configures it, with everything that is needed and not given made up.
 * Rejects with what to do if the page is not built, a port is taken, or Redis does not answer.
 */
export async function startDemo(env: Env): Promise<Demo> {
  const city = makeCity();
  const folder = mkdtempSync(join(tmpdir(), 'ridecast-demo-'));
  const zonesFile = join(folder, 'zones.geojson');
  let config: Config;
  let mint: Mint;
  let gateway: Gateway;
  let simulation: Simulation | undefined;
  try {
    writeFileSync(zonesFile, JSON.stringify(zones()));
    config = loadConfig(await completed(env, zonesFile));
    mint = makeMint(config.authSecret!, config.authIssuer, config.authAudience);
    gateway = await startGateway(config, { routes: routes(mint, city, () => simulation?.featured) });
  } finally {
    rmSync(folder, { recursive: true, force: true }); // the gateway has read it
  }
  simulation = startSimulation({ url: gateway.url, mint, city, run: runName(config) });

  const page = (view: string) => `${gateway.url}/#${view}`;
  return {
    gateway,
    links: { customer: page('customer'), partner: page('partner'), operator: page('operator') },
    async stop() {
      await simulation.stop();
      await gateway.stop();
    },
  };
}

/** What the person at the terminal should know. */
export function greeting({ links }: Demo, env: Env): string {
  const host = env.HOST;
  const open = host !== undefined && host !== '' && host !== '127.0.0.1' && host !== 'localhost';
  return `
  Ridecast, demo: 40 riders and two shops in Port Ridecast, a city that exists nowhere

    a customer waits     ${links.customer}
    a shop's dashboard   ${links.partner}
    the operator's map   ${links.operator}

  Try: open two of them side by side; switch your Wi-Fi off and on; stop this and start it again.
  This is a demo without real logins: whoever can open the page gets a token.${
    open ? `\n  HOST is ${host}: that may be more than this machine.` : ''
  }
  Over Redis: REDIS_URL=redis://127.0.0.1:6379 npm start      The gateway alone: npm start -- --no-demo
  Stop: Ctrl-C
`;
}

/** The environment, with what the demo needs and nobody gave. */
async function completed(env: Env, zonesFile: string): Promise<Env> {
  const given = (key: string) => env[key] !== undefined && env[key] !== '';
  const host = given('HOST') ? env.HOST! : '127.0.0.1';
  const free = async (port: number) => ((await isFree(port, host)) ? String(port) : '0');
  return {
    ...env,
    HOST: host,
    PORT: given('PORT') ? env.PORT : await free(8080),
    ADMIN_PORT: given('ADMIN_PORT') ? env.ADMIN_PORT : await free(8081),
    AUTH_SECRET: given('AUTH_SECRET') ? env.AUTH_SECRET : randomBytes(32).toString('base64url'),
    ZONES_FILE: zonesFile,
    STATIC_DIR: given('STATIC_DIR') ? env.STATIC_DIR : builtPage(),
    ORDER_TTL_MS: given('ORDER_TTL_MS') ? env.ORDER_TTL_MS : String(ORDER_TTL_MS),
    LOG_LEVEL: given('LOG_LEVEL') ? env.LOG_LEVEL : 'warn',
  };
}

function builtPage(): string {
  // Beside the compiled demo, or in dist/ when this runs from source.
  for (const place of ['../page/', '../dist/page/']) {
    const folder = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(join(folder, 'index.html'))) return folder;
  }
  throw new Error('the demo page is not built: run node scripts/build-demo.mjs');
}

/** Over Redis, ids of this run must not meet those of another. */
function runName(config: Config): string {
  return config.redisUrl === undefined ? '' : randomBytes(2).toString('hex');
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}

type Routes = NonNullable<NonNullable<Parameters<typeof startGateway>[1]>['routes']>;

/** What only a demo has: tokens for whoever asks, and the map of the city. */
function routes(mint: Mint, city: City, featured: () => string | undefined): Routes {
  const map = { ...cityMap(city), zones: zones() };
  const partners = SHOPS.map(({ id, name }) => ({ id, name }));
  return [
    { method: 'get', path: '/demo/city', handle: () => ({ status: 200, body: map }) },
    {
      method: 'post',
      path: '/demo/token',
      async handle({ body }) {
        const asked = parse(body);
        if (asked.role === 'customer') {
          return { status: 200, body: { token: await mint('customer', CUSTOMER), order: featured() } };
        }
        if (asked.role === 'partner') {
          const partner = partners.find(({ id }) => id === asked.partner)?.id ?? partners[0]!.id;
          return { status: 200, body: { token: await mint('partner', partner), partner, partners } };
        }
        if (asked.role === 'operator') {
          const all = map.zones.features.map(({ properties: { id, name } }) => ({ id, name }));
          return { status: 200, body: { token: await mint('operator', 'demo-operator'), zones: all } };
        }
        const error = { code: 'bad_field', message: 'role: expected customer, partner or operator' };
        return { status: 400, body: { error } };
      },
    },
  ];
}

function parse(body: string): { role?: unknown; partner?: unknown } {
  try {
    return (JSON.parse(body) as object | null) ?? {};
  } catch {
    return {};
  }
}
