/** Tokens for the load, minted in step: thousands of them are needed before anything can be measured. */
import { createHmac } from 'node:crypto';
import type { Role } from '../../src/protocol/messages.ts';

const TTL_S = 24 * 3600;
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const header = part({ alg: 'HS256' });

/** An HS256 token that is good for a day. */
export function mint(secret: string, role: Role, sub: string): string {
  const body = `${header}.${part({ role, sub, exp: Math.floor(Date.now() / 1000) + TTL_S })}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}
