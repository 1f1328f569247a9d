/** Tokens that are good for seconds. */
import { SignJWT } from 'jose';

export interface TokenPlan {
  /** AUTH_SECRET of the gateways. */
  readonly secret: string;
  readonly customer: string;
  readonly ttlS: number;
}

export function mintShort({ secret, customer, ttlS }: TokenPlan): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ role: 'customer' })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(customer)
    .setIssuedAt(now)
    .setExpirationTime(now + ttlS)
    .sign(new TextEncoder().encode(secret));
}
