/** Riders that move: straight on at some 6 m/s, round a corner now and then, never out of their city. */

/** Degrees, degrees clockwise from north, m/s. */
export interface Place {
  readonly lat: number;
  readonly lng: number;
  readonly heading: number;
  readonly speed: number;
}

/** The middle of the city, and half its side in degrees of latitude. */
export const CENTER = { lat: 52.52, lng: 13.405 };
export const HALF_SIDE = 0.05;
const METRES_PER_DEGREE = 111_195;
const NARROWER = Math.cos((CENTER.lat * Math.PI) / 180);
const TURN_CHANCE = 0.02;

/** Numbers in [0, 1) that are the same in every run. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let n = Math.imul(state ^ (state >>> 15), 1 | state);
    n = (n + Math.imul(n ^ (n >>> 7), 61 | n)) ^ n;
    return ((n ^ (n >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Drive {
  private readonly draw: () => number;
  /** Degrees of latitude from the middle, both ways. */
  private x: number;
  private y: number;
  private heading: number;
  private readonly speed: number;

  /** @param number of the rider: the same rider drives the same way in every run */
  constructor(number: number) {
    this.draw = random(number + 1);
    this.x = (this.draw() * 2 - 1) * HALF_SIDE;
    this.y = (this.draw() * 2 - 1) * HALF_SIDE;
    this.heading = Math.floor(this.draw() * 360);
    this.speed = 4 + this.draw() * 5;
  }

  /** Where the rider is so many seconds later. */
  move(seconds: number): Place {
    if (this.draw() < TURN_CHANCE) this.heading = (this.heading + (this.draw() < 0.5 ? 90 : 270)) % 360;
    this.heading = (this.heading + 358 + Math.floor(this.draw() * 5)) % 360;
    const way = (this.speed * seconds) / METRES_PER_DEGREE;
    const turn = (this.heading * Math.PI) / 180;
    this.x += way * Math.sin(turn);
    this.y += way * Math.cos(turn);
    if (Math.max(Math.abs(this.x), Math.abs(this.y)) > HALF_SIDE) {
      this.heading = (this.heading + 180) % 360;
      this.x = Math.max(-HALF_SIDE, Math.min(HALF_SIDE, this.x));
      this.y = Math.max(-HALF_SIDE, Math.min(HALF_SIDE, this.y));
    }
    const [lat, lng] = [CENTER.lat + this.y, CENTER.lng + this.x / NARROWER];
    return { lat, lng, heading: this.heading, speed: this.speed };
  }
}
