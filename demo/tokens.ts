/** Tokens as a company's own login would mint them. The demo hands them to anybody who asks; never do that. */
import { SignJWT } from 'jose';

export type Role = 'rider' | 'customer' | 'partner' | 'operator' | 'service';
export type Mint = (role: Role, sub: string, claims?: Record<string, unknown>) => Promise<string>;

/** Short, so that renewing them is part of what the demo shows. */
const TTL_S = 120;

/** @param secret AUTH_SECRET of the gateway */
export function makeMint(secret: string, issuer?: string, audience?: string): Mint {
  const key = new TextEncoder().encode(secret);
  return (role, sub, claims = {}) => {
    const jwt = new SignJWT({ role, ...claims })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(sub)
      .setExpirationTime(Math.floor(Date.now() / 1000) + TTL_S);
    if (issuer !== undefined) jwt.setIssuer(issuer);
    if (audience !== undefined) jwt.setAudience(audience);
    return jwt.sign(key);
  };
}
