/** What a row of the benchmark is: one exported object in a file of bench/rows. */
import type { Figures } from './figures.ts';
import type { Loader } from './loader.ts';

/** What a run is given. */
export interface Run {
  /** Shorter, smaller, for a look at whether it works. */
  readonly quick: boolean;
  /** A file of recorded traces. */
  readonly traces: string | undefined;
  /** What earlier runs of the row left behind for later ones. */
  readonly memo: Map<string, number>;
  /** A new load, ended with the run. */
  readonly loader: Loader;
}

/** What one run of a contender found. A contender that is run at several rates has a line for each. */
export interface Line {
  /** Which of the contender's lines; '' if it has one. */
  readonly at: string;
  readonly figures: Figures;
  /** What makes the figures doubtful, one phrase each. */
  readonly doubts: readonly string[];
}

export interface Contender {
  readonly name: string;
  readonly what: string;
  missing?(): string | undefined;
  run(run: Run): Promise<readonly Line[]>;
}

export interface Column {
  readonly figure: string;
  /** As the head of a table has it, with the unit. */
  readonly title: string;
  /** Digits after the point. */
  readonly digits: number;
}

/** Something that is wanted of a contender, alone or beside another. */
export interface Goal {
  readonly words: string;
  readonly figure: string;
  /** Name of the contender, and which of its lines. */
  readonly of: string;
  readonly at?: string;
  /** The one it is held against; undefined: the figure itself is. */
  readonly beside?: string;
  readonly most?: number;
  readonly least?: number;
}

export interface Row {
  /** Names it on the command line. */
  readonly name: string;
  readonly title: string;
  /** What is done, in one or two sentences. */
  readonly how: string;
  readonly columns: readonly Column[];
  /** The figure by whose spread the row is judged. */
  readonly key: string;
  readonly goals: readonly Goal[];
  readonly contenders: readonly Contender[];
  /** Why it cannot be run like this; undefined: it can. */
  missing?(run: Pick<Run, 'traces'>): string | undefined;
  /** Figures without noise need one run only. */
  readonly once?: boolean;
}
