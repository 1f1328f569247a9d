/** Entries a node keeps of a log. Small, so that schedules reach past it. */
export const MAX_REPLAY = 6;
