import { describe, expect, it } from "vitest";
import { EventHub } from "./event-hub.ts";

const collect = async (events: AsyncIterable<number>, until = Number.POSITIVE_INFINITY) => {
  const seen: number[] = [];
  for await (const event of events) {
    seen.push(event);
    if (seen.length >= until) break;
  }
  return seen;
};

describe("EventHub", () => {
  it("gives every subscriber each event from its subscription on, in order", async () => {
    const hub = new EventHub<number>();
    const abort = new AbortController();
    hub.publish(0);
    const first = hub.subscribe(abort.signal);
    hub.publish(1);
    const second = hub.subscribe(abort.signal);
    hub.publish(2);
    hub.publish(3);
    expect(await collect(first, 3)).toEqual([1, 2, 3]);
    expect(await collect(second, 2)).toEqual([2, 3]);
    expect(hub.hasSubscribers).toBe(false);
  });

  it("ends a subscription with its signal, without an error", async () => {
    const hub = new EventHub<number>();
    const abort = new AbortController();
    const seen = collect(hub.subscribe(abort.signal));
    hub.publish(1);
    await new Promise(setImmediate);
    abort.abort();
    expect(await seen).toEqual([1]);
    expect(hub.hasSubscribers).toBe(false);
    expect(await collect(hub.subscribe(abort.signal))).toEqual([]);
  });

  it("drops a subscriber that falls behind, with an error, and serves the others", async () => {
    const hub = new EventHub<number>({ maxQueued: 3 });
    const { signal } = new AbortController();
    const slow = hub.subscribe(signal)[Symbol.asyncIterator]();
    const quick = collect(hub.subscribe(signal), 5);
    for (let i = 0; i < 5; i++) {
      hub.publish(i);
      await new Promise(setImmediate);
    }
    expect(await quick).toEqual([0, 1, 2, 3, 4]);
    await expect(slow.next()).rejects.toMatchObject({ kind: "resource-exhausted" });
    expect(hub.hasSubscribers).toBe(false);
  });

  it("limits the number of subscribers, and ends all when closed", async () => {
    const hub = new EventHub<number>({ maxSubscribers: 1 });
    const { signal } = new AbortController();
    const seen = collect(hub.subscribe(signal));
    expect(() => hub.subscribe(signal)).toThrow(/more than 1/);
    hub.close();
    expect(await seen).toEqual([]);
  });
});
