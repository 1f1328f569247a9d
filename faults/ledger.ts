/** What really happened, as the company's own database has it: the truth that apps are judged by. */

/** From that moment on, the order's newest event is that number. */
export interface Turn {
  readonly at: number;
  readonly n: number;
}

interface Book {
  /** Changes of the truth, oldest first. */
  readonly turns: Turn[];
  /** The event before each, and how many came before it: 0 is the order as it was given. */
  readonly before: Map<number, number>;
  readonly depth: Map<number, number>;
  /** Events that did not happen after all, and since when. */
  readonly undone: Map<number, number>;
}

export class Ledger {
  private readonly books = new Map<string, Book>();
  private readonly fixes = new Map<string, number>();
  private last = 0;
  /** When an event was taken last, ms since epoch. */
  lastAcceptedAt = 0;

  get orders(): string[] {
    return [...this.books.keys()];
  }

  open(order: string): void {
    const book: Book = {
      turns: [{ at: 0, n: 0 }],
      before: new Map(),
      depth: new Map([[0, 0]]),
      undone: new Map(),
    };
    this.books.set(order, book);
  }

  /** A number for an event that is about to be sent: never given twice. */
  number(): number {
    return ++this.last;
  }

  /** The event was taken: from now on the order is there. */
  accept(order: string, n: number, at = Date.now()): void {
    const book = this.book(order);
    const newest = this.newest(order);
    book.before.set(n, newest);
    book.depth.set(n, book.depth.get(newest)! + 1);
    book.turns.push({ at, n });
    this.lastAcceptedAt = at;
  }

  /** Everything after that event is gone from the world: a failover lost it, and nobody puts it back. */
  undo(order: string, to: number, at = Date.now()): void {
    const book = this.book(order);
    for (let n = this.newest(order); n !== to; n = book.before.get(n)!) book.undone.set(n, at);
    book.turns.push({ at, n: to });
  }

  /** The rider of the order sent the fix of that number. */
  fix(order: string, n: number): void {
    this.fixes.set(order, n);
  }

  /** The newest fix its rider sent; undefined if none. */
  newestFix(order: string): number | undefined {
    return this.fixes.get(order);
  }

  newest(order: string): number {
    const { turns } = this.book(order);
    return turns[turns.length - 1]!.n;
  }

  turns(order: string): readonly Turn[] {
    return this.book(order).turns;
  }

  isUndone(order: string, n: number, at: number): boolean {
    const since = this.book(order).undone.get(n);
    return since !== undefined && at >= since;
  }

  /** How many events lie between two of one history; undefined if the second does not come after the first. */
  steps(order: string, from: number, to: number): number | undefined {
    const { before, depth } = this.book(order);
    const steps = (depth.get(to) ?? -1) - (depth.get(from) ?? Number.POSITIVE_INFINITY);
    if (steps < 0) return undefined;
    let n = to;
    for (let i = 0; i < steps; i++) n = before.get(n)!;
    return n === from ? steps : undefined;
  }

  private book(order: string): Book {
    const book = this.books.get(order);
    if (book === undefined) throw new Error(`${order} was never opened`);
    return book;
  }
}
