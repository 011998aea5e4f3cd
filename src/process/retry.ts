/** Work that can't be done now and must not be forgotten. */
import { setTimeout } from "node:timers/promises";

const firstPauseMs = 1_000;
const longestPauseMs = 60_000;

/**
 * Does `work` after a pause, and again after longer and longer ones, until it succeeds; `failed` is told why it did not.
 * Keeps no process alive.
 */
export async function retryLater(work: () => Promise<void>, failed: (error: unknown) => void): Promise<void> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    await setTimeout(pauseMs, undefined, { ref: false });
    try {
      await work();
      return;
    } catch (error) {
      failed(error);
    }
  }
}
