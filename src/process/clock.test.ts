import { expect, it } from "vitest";
import { wallClock } from "./clock.ts";

function fake(startMs: number) {
  let trueNs = BigInt(startMs) * 1_000_000n;
  let bootNs = 77n;
  return {
    pass(ns: bigint) {
      trueNs += ns;
      bootNs += ns;
    },
    set: (ms: number) => {
      trueNs = BigInt(ms) * 1_000_000n;
    },
    trueNs: () => trueNs,
    sources: { wallMs: () => Number(trueNs / 1_000_000n), monotonicNs: () => bootNs },
  };
}

it("is within a millisecond of the machine's clock and tells intervals to the nanosecond", () => {
  const time = fake(1_795_000_000_000);
  const now = wallClock(time.sources);
  time.pass(400_000n);
  const first = now();
  time.pass(123_457n);
  expect(now() - first).toBe(123_457n);
  for (let i = 0; i < 1000; i++) {
    time.pass(BigInt(i) * 991n);
    const off = time.trueNs() - now();
    expect(off < 1_000_000n && off > -1_000_000n).toBe(true);
  }
});

it("every stamp is later than the one before, however fast they are asked for", () => {
  const now = wallClock();
  let last = 0n;
  for (let i = 0; i < 20_000; i++) {
    const stamp = now();
    expect(stamp > last).toBe(true);
    last = stamp;
  }
});

it("follows a clock that is set, forward and far back; a small step back only slows it", () => {
  const time = fake(1_000_000);
  const now = wallClock(time.sources);
  now();
  time.set(1_795_000_000_000);
  expect(now()).toBe(1_795_000_000_000_000_000n);
  time.set(1_794_999_999_500);
  expect(now()).toBe(1_795_000_000_000_000_001n);
  time.set(1_700_000_000_000);
  expect(now() / 1_000_000n).toBe(1_700_000_000_000n);
});
