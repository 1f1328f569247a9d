/** One timer: a call sets it anew, a call without arguments clears it. */
export type Timer = (run?: () => void, ms?: number) => void;

export function timer(): Timer {
  let id: ReturnType<typeof setTimeout> | undefined;
  return (run, ms) => {
    clearTimeout(id);
    id = run && setTimeout(run, ms);
  };
}
