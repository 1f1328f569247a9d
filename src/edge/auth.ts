/** Tokens to grants. */
import {
  createRemoteJWKSet,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import { z } from 'zod';
import type { Grant } from '../fanout/visibility.ts';
import { id, roles } from '../protocol/messages.ts';

export interface AuthOptions {
  /** Shared secret of HS256 tokens. */
  readonly secret?: string | undefined;
  /** Where the public keys of RS256, ES256 and EdDSA tokens are. Keys are fetched when needed and rotate by `kid`. */
  readonly jwksUrl?: string | undefined;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
}

/** Why a token was not taken, in words that give nothing away. */
export class TokenError extends Error {}

/** The JWKS cannot be fetched: nothing is known about the token, which may be good. */
export class KeysError extends Error {}

export type Auth = (token: string) => Promise<Grant>;

const EXPIRED = 'the token has expired';

const claims = z.object({
  sub: id,
  role: z.enum(roles),
  exp: z.number(),
  iat: z.number().optional(),
  orders: z.array(id).max(100).optional(),
  zones: z.array(id).max(1000).optional(),
});

/** Clocks of issuer and gateway may differ by this much: a token may begin that much later than now. */
const CLOCK_TOLERANCE_S = 60;
/** How long a token is taken after it expired: a refresh may cross the expiry. */
export const EXPIRY_GRACE_MS = 5000;

/**
 * A verifier of tokens. The algorithm follows from the key at hand, never from the token alone: HS256 only with the
 * secret, asymmetric ones only with the JWKS.
 * @throws (rejects) TokenError, or KeysError if the JWKS does not answer
 */
export function makeAuth(options: AuthOptions): Auth {
  const shared: JWTVerifyOptions = {
    clockTolerance: CLOCK_TOLERANCE_S,
    requiredClaims: ['exp', 'sub'],
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    ...(options.audience === undefined ? {} : { audience: options.audience }),
  };
  const secret = options.secret === undefined ? undefined : new TextEncoder().encode(options.secret);
  const keys = options.jwksUrl === undefined ? undefined : remoteKeys(options.jwksUrl);

  const verify = async (token: string): Promise<JWTPayload> => {
    if (secret !== undefined && (keys === undefined || symmetric(token))) {
      return (await jwtVerify(token, secret, { ...shared, algorithms: ['HS256'] })).payload;
    }
    const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];
    return (await jwtVerify(token, keys!, { ...shared, algorithms })).payload;
  };

  return async (token) => {
    let payload: JWTPayload;
    try {
      payload = await verify(token);
    } catch (error) {
      if (error instanceof KeysError) throw error;
      throw new TokenError(error instanceof errors.JWTExpired ? EXPIRED : 'the token is not valid here');
    }
    const parsed = claims.safeParse(payload);
    if (!parsed.success)
      throw new TokenError(`the token's claim ${parsed.error.issues[0]!.path.join('.')} is not usable`);
    const { sub, role, exp, iat = 0, orders, zones } = parsed.data;
    if (exp * 1000 + EXPIRY_GRACE_MS < Date.now()) throw new TokenError(EXPIRED);
    return {
      sub,
      role,
      expiresAt: exp * 1000,
      issuedAt: iat * 1000,
      ...(orders === undefined ? {} : { orders: new Set(orders) }),
      ...(zones === undefined ? {} : { zones: new Set(zones) }),
    };
  };
}

/** The keys of a JWKS, with an outage told apart from a token that names no key of it. */
function remoteKeys(url: string): JWTVerifyGetKey {
  const find = createRemoteJWKSet(new URL(url));
  return async (header, token) => {
    try {
      return await find(header, token);
    } catch (error) {
      const { JOSEError, JWKSInvalid, JWKSTimeout } = errors;
      const known = error instanceof JOSEError && error.code !== JOSEError.code;
      if (known && !(error instanceof JWKSInvalid || error instanceof JWKSTimeout)) throw error;
      throw new KeysError(`the JWKS cannot be fetched: ${(error as Error).message}`);
    }
  };
}

/** Which key to try; the key then insists on its own algorithms. */
function symmetric(token: string): boolean {
  try {
    const header = JSON.parse(Buffer.from(token.split('.', 1)[0]!, 'base64url').toString()) as {
      alg?: unknown;
    };
    return header.alg === 'HS256';
  } catch {
    return false;
  }
}
