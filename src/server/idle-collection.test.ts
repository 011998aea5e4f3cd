import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { IdleCollection } from "./idle-collection.ts";

describe("IdleCollection", () => {
  let collections = 0;
  let usedBytes = 0;
  let idle: IdleCollection;
  /** Calls, of which each leaves that much behind. */
  const work = (calls: number, leftBytes = 256 << 10) => {
    for (let i = 0; i < calls; i++) idle.worked();
    usedBytes += calls * leftBytes;
  };

  beforeEach(() => {
    vi.useFakeTimers();
    collections = 0;
    usedBytes = 10 << 20;
    idle = new IdleCollection({
      usedBytes: () => usedBytes,
      collect() {
        collections++;
        usedBytes = 10 << 20;
      },
    });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("collects once when the work is over, and then has no timer", () => {
    work(50);
    vi.advanceTimersByTime(1_400);
    expect(collections).toBe(0);
    vi.advanceTimersByTime(200);
    expect([collections, vi.getTimerCount()]).toEqual([1, 0]);
    vi.advanceTimersByTime(60_000);
    expect(collections).toBe(1);
  });

  it("waits while work goes on, with one timer", () => {
    for (let i = 0; i < 20; i++) {
      work(10);
      expect(vi.getTimerCount()).toBe(1);
      vi.advanceTimersByTime(1_000);
    }
    expect(collections).toBe(0);
    vi.advanceTimersByTime(3_000);
    expect(collections).toBe(1);
  });

  it("is not worth its time after a few calls; they count for the next time", () => {
    work(9);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(60_000);
    work(1);
    vi.advanceTimersByTime(3_100);
    expect(collections).toBe(1);
  });

  it("takes what the start left, and then looks after every ten calls whether the heap has grown by a MiB", () => {
    work(10, 0);
    vi.advanceTimersByTime(1_600);
    expect(collections).toBe(1);
    // Probes: 16 KiB each.
    for (let calls = 0; calls < 60; calls += 10) {
      work(10, 16 << 10);
      vi.advanceTimersByTime(10_000);
    }
    expect([collections, vi.getTimerCount()]).toEqual([1, 0]);
    work(10, 16 << 10);
    vi.advanceTimersByTime(1_600);
    expect(collections).toBe(2);
  });
});
