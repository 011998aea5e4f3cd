import { describe, expect, it } from "vitest";
import { InputBudget } from "./inbox.ts";

function budget(streamBytes: number, connectionBytes: number) {
  const pauses: boolean[] = [];
  return {
    pauses,
    budget: new InputBudget({ streamBytes, connectionBytes }, (paused) => pauses.push(paused)),
  };
}

describe("Inbox", () => {
  it("gives pieces in order and then the end", async () => {
    const inbox = budget(1e6, 1e6).budget.inbox();
    inbox.push(Buffer.from("a"));
    inbox.push(Buffer.from("b"));
    inbox.end();
    inbox.push(Buffer.from("late"));
    const pieces = [];
    for await (const piece of inbox) pieces.push(piece.toString());
    expect(pieces).toEqual(["a", "b"]);
    expect(await inbox.read()).toBeUndefined();
  });

  it("wakes a reader that waits: with a piece, the end, a fault", async () => {
    const { budget: share } = budget(1e6, 1e6);
    const [a, b, c, d] = [share.inbox(), share.inbox(), share.inbox(), share.inbox()];
    const waiting = [a.read(), b.read(), c.read(), d.read()];
    a.push(Buffer.from("x"));
    b.end();
    c.fail(new Error("reset"));
    d.discard();
    const [one, two, three, four] = await Promise.allSettled(waiting);
    expect(one).toMatchObject({ value: Buffer.from("x") });
    expect(two).toMatchObject({ value: undefined });
    expect(three).toMatchObject({ reason: new Error("reset") });
    expect(four).toMatchObject({ value: undefined });
    await expect(c.read()).rejects.toThrow("reset");
  });

  it("stops the connection when one stream's share is full, and lets it go on when it was read", async () => {
    const { budget: share, pauses } = budget(4096, 1e6);
    const inbox = share.inbox();
    inbox.push(Buffer.alloc(3000));
    expect(pauses).toEqual([]);
    inbox.push(Buffer.alloc(3000));
    expect(pauses).toEqual([true]);
    await inbox.read();
    expect(pauses).toEqual([true, false]);
    await inbox.read();
    expect(share.held).toBe(0);
  });

  it("stops the connection when all streams together hold too much", () => {
    const { budget: share, pauses } = budget(1e6, 10_000);
    const inboxes = [share.inbox(), share.inbox(), share.inbox()];
    for (const inbox of inboxes) inbox.push(Buffer.alloc(3000));
    expect(pauses).toEqual([true]);
    inboxes[0]?.discard();
    expect(pauses).toEqual([true, false]);
    for (const inbox of inboxes) inbox.fail(new Error("gone"));
    expect(share.held).toBe(0);
  });

  it("counts what single bytes cost, and keeps no large buffer for a small part of it", async () => {
    const { budget: share, pauses } = budget(100_000, 1e6);
    const inbox = share.inbox();
    const large = Buffer.alloc(1 << 20, 7);
    let pushed = 0;
    while (pauses.length === 0) inbox.push(large.subarray(pushed, ++pushed));
    expect(pushed).toBeLessThan(200);
    const piece = await inbox.read();
    expect(piece?.buffer.byteLength).toBeLessThan(100_000);
    expect(piece?.[0]).toBe(7);
  });
});
