import type { z } from 'zod';
import { type ClientMessage, clientMessages, type ErrorCode } from './messages.ts';

/** Why some input was not taken: which field, and what was expected there. */
export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field?: string;
  readonly expected?: string;
  /** The type of the message, where it had one. */
  readonly of?: string;
  /** The watch it named, where it named one. */
  readonly w?: number;
  /** The same, sent again in a moment, may be taken. */
  readonly retryable?: boolean;
}

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: Problem };

/** Checks a decoded frame from a client against the schema its `t` names. Unknown fields are left out. */
export function checkClientMessage(frame: unknown): Checked<ClientMessage> {
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) {
    return refuse({ code: 'bad_frame', message: 'a frame is an object with a key t that names its type' });
  }
  const { t, w } = frame as { t?: unknown; w?: unknown };
  if (typeof t !== 'string') {
    return refuse({
      code: 'bad_field',
      field: 't',
      expected: 'string',
      message: 't: expected the message type',
    });
  }
  if (!Object.hasOwn(clientMessages, t)) {
    const message = 'this gateway does not know that message type';
    return refuse({ code: 'unknown_type', message, ...about(t, w) });
  }
  const schema: z.ZodType<ClientMessage> = clientMessages[t as keyof typeof clientMessages];
  const checked = check(schema, frame);
  return checked.ok ? checked : refuse({ ...checked.problem, ...about(t, w) });
}

/** What an error says back of the message that caused it. Half a surrogate pair would not be text in every codec. */
function about(t: string, w: unknown): Pick<Problem, 'of' | 'w'> {
  const of = Buffer.from(t.slice(0, 32)).toString();
  return Number.isSafeInteger(w) ? { of, w: w as number } : { of };
}

/** Checks anything against a schema and names the first field that is wrong. */
export function check<T>(schema: z.ZodType<T>, input: unknown): Checked<T> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return { ok: true, value: parsed.data };
  const issue = parsed.error.issues[0]!;
  const field = fieldPath(issue.path) || '(the whole)';
  return refuse({
    code: 'bad_field',
    field,
    expected: expectedOf(issue),
    message: `${field}: ${issue.message}`,
  });
}

function refuse(problem: Problem): { ok: false; problem: Problem } {
  return { ok: false, problem };
}

/** ['pings', 0, 'lat'] -> pings[0].lat */
export function fieldPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? String(part) : `.${String(part)}`;
  }
  return text.slice(0, 128);
}

function expectedOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected;
    case 'too_small':
      return `at least ${issue.minimum}`;
    case 'too_big':
      return `at most ${issue.maximum}`;
    case 'invalid_value':
      return issue.values.map(String).join(' | ');
    default:
      return issue.message;
  }
}
