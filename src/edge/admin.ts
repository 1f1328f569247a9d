/** Routes of the admin port: is it alive, should it get traffic, what does it count. */
import type { Registry } from 'prom-client';
import type { Route } from './http.ts';

export interface Health {
  readonly node: string;
  readonly backbone: string;
  readonly healthy: boolean;
  readonly draining: boolean;
  readonly sessions: number;
  readonly uptimeS: number;
  readonly version: string;
}

export function adminRoutes(health: () => Health, registry: Registry): Route[] {
  return [
    {
      method: 'get',
      path: '/healthz',
      handle: () => ({ status: 200, body: { status: 'alive', ...health() } }),
    },
    {
      method: 'get',
      path: '/readyz',
      handle() {
        const now = health();
        if (now.draining) return { status: 503, body: { status: 'draining', ...now } };
        if (!now.healthy) return { status: 503, body: { status: 'degraded', ...now } };
        return { status: 200, body: { status: 'ready', ...now } };
      },
    },
    {
      method: 'get',
      path: '/metrics',
      handle: async () => ({ status: 200, body: await registry.metrics(), type: registry.contentType }),
    },
  ];
}
