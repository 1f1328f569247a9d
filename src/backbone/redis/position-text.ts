/** A position as the text kept in Redis: `session|seq|lat|lng|fixAt|heardAt|heading|speed|accuracy|verdict|zone`. */
import type { ZonedPosition } from '../../protocol/positions.ts';

/** Nothing between the bars stands for null. */
export function positionText(p: ZonedPosition): string {
  const course = `${p.heading ?? ''}|${p.speed ?? ''}|${p.accuracy ?? ''}`;
  return `${p.session}|${p.seq}|${p.lat}|${p.lng}|${p.fixAt}|${p.heardAt}|${course}|${p.verdict}|${p.zone ?? ''}`;
}

/** The opposite; undefined for text this version did not write. */
export function parsePosition(rider: string, text: string): ZonedPosition | undefined {
  const parts = text.split('|');
  if (parts.length < 11) return undefined;
  const number = (at: number) => Number(parts[at]);
  const maybe = (at: number) => (parts[at] === '' ? null : Number(parts[at]));
  return {
    rider,
    session: number(0),
    seq: number(1),
    lat: number(2),
    lng: number(3),
    fixAt: number(4),
    heardAt: number(5),
    heading: maybe(6),
    speed: maybe(7),
    accuracy: maybe(8),
    verdict: number(9),
    zone: parts[10] || null,
  };
}
