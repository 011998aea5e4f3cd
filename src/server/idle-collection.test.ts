import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { IdleCollection } from "./idle-collection.ts";

describe("IdleCollection", () => {
  let collections = 0;
  let idle: IdleCollection;
  const work = (calls: number) => {
    for (let i = 0; i < calls; i++) idle.worked();
  };

  beforeEach(() => {
    vi.useFakeTimers();
    collections = 0;
    idle = new IdleCollection(() => {
      collections++;
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

  it("is worth it after ten calls once, for what the start has left, and then after forty", () => {
    work(10);
    vi.advanceTimersByTime(1_600);
    expect(collections).toBe(1);
    for (let calls = 0; calls < 39; calls++) {
      work(1);
      vi.advanceTimersByTime(10_000);
    }
    expect([collections, vi.getTimerCount()]).toEqual([1, 0]);
    work(1);
    vi.advanceTimersByTime(1_600);
    expect(collections).toBe(2);
  });
});
