/** What a clock is made from; another one in tests. */
export interface ClockSources {
  /** Milliseconds since 1970, as the machine's clock is set now. */
  readonly wallMs: () => number;
  /** Nanoseconds since some moment, never back. */
  readonly monotonicNs: () => bigint;
}

/** A clock that was set back by more than this is followed back; by less, it stands until time has caught up. */
const followNs = 1_000_000_000n;

/**
 * The machine's clock in nanoseconds since 1970, each answer later than the one before. Node tells it
 * in milliseconds only; within one the monotonic clock goes on. It is followed when it is set: a board
 * without a clock battery starts in 1970.
 */
export function wallClock(
  sources: ClockSources = { wallMs: Date.now, monotonicNs: process.hrtime.bigint },
): () => bigint {
  let offsetNs = 0n;
  let lastNs = 0n;
  return () => {
    const monotonicNs = sources.monotonicNs();
    const earliest = BigInt(Math.floor(sources.wallMs())) * 1_000_000n;
    const latest = earliest + 999_999n;
    const guess = monotonicNs + offsetNs;
    let now = guess < earliest ? earliest : guess > latest ? latest : guess;
    offsetNs = now - monotonicNs;
    if (now <= lastNs && lastNs - now < followNs) now = lastNs + 1n;
    lastNs = now;
    return now;
  };
}
