/**
 * A time limit for somebody's answer, in time in which this process ran. One that was stalled (a machine under load, a
 * virtual one that was paused) finds its timers due before it has read what came meanwhile, and would take its own
 * sleep for the other's silence. So the time passes in steps with a look at the sockets between them, and a stall
 * counts as one.
 */
const steps = 20;

/** Calls `late` once after `ms`. Returns what stops it, which may be called twice. */
export function waitPatiently(ms: number, late: () => void): () => void {
  let left = steps;
  const step = (): void => {
    left -= 1;
    if (left === 0) late();
    else timer = setTimeout(step, ms / steps);
  };
  let timer = setTimeout(step, ms / steps);
  return () => clearTimeout(timer);
}
