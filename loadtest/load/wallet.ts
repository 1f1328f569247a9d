/** Who takes part by which name, and their tokens: minted from a secret, or read from a file. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type Role as ProtocolRole, roles } from '../../src/protocol/messages.ts';
import { Backend } from '../backend.ts';
import { headcount, type Plan } from './plan.ts';

export interface Wallet {
  /** The `sub` of the index-th of a role. */
  name(role: ProtocolRole, index: number): string;
  token(role: ProtocolRole, index: number): Promise<string>;
}

const line = z.object({ role: z.enum(roles), sub: z.string().min(1), token: z.string().min(1) });
type Badge = z.infer<typeof line>;

/** @throws Error naming the file of tokens and what is missing in it */
export function openWallet(plan: Plan): Wallet {
  const { secret, tokens, run } = plan;
  if (tokens !== undefined) return readWallet(tokens, plan);
  if (secret === undefined) throw new Error('there is neither a secret nor a file of tokens');
  const backend = new Backend(plan.urls[0]!, secret);
  const name = (role: ProtocolRole, index: number) => `${run}-${role[0]}${index}`;
  return { name, token: (role, index) => backend.mint(role, name(role, index)) };
}

function readWallet(file: string, plan: Plan): Wallet {
  const badges = new Map<ProtocolRole, Badge[]>(roles.map((role) => [role, []]));
  for (const [i, row] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (row.trim() === '') continue;
    let badge: Badge;
    try {
      badge = line.parse(JSON.parse(row));
    } catch {
      throw new Error(`--tokens ${file}, line ${i + 1}: expected {"role","sub","token"}`);
    }
    badges.get(badge.role)!.push(badge);
  }
  const needed: [ProtocolRole, number][] = [
    ['service', 1],
    ['rider', plan.riders],
    ['customer', plan.customersPerOrder > 0 ? 1 : 0],
    ['partner', plan.partners],
    ['operator', headcount(plan, 'operators') > 0 ? 1 : 0],
  ];
  const short = needed.filter(([role, count]) => badges.get(role)!.length < count);
  if (short.length > 0) {
    const list = short.map(([role, count]) => `${count} of role ${role}, found ${badges.get(role)!.length}`);
    throw new Error(`--tokens ${file}: expected at least ${list.join('; ')}`);
  }
  // Customers and operators may share a token; a rider or a partner cannot.
  const badge = (role: ProtocolRole, index: number) => {
    const all = badges.get(role)!;
    return all[index % all.length];
  };
  return {
    name: (role, index) => badge(role, index)?.sub ?? 'nobody',
    token: async (role, index) => badge(role, index)!.token,
  };
}
