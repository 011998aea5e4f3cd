import { describe, expect, it } from "vitest";
import { Joins } from "./joins.ts";
import type { PullProgress } from "./progress.ts";
import { Slots } from "./slots.ts";

const never = new AbortController().signal;

/** Work that ends when told to, or when it is aborted. */
function work() {
  const runs: { signal: AbortSignal; finish: (value: string) => void; report: (p: PullProgress) => void }[] =
    [];
  const start = (report: (p: PullProgress) => void, signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      runs.push({ signal, finish: resolve, report });
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  return { runs, start };
}

describe("callers of the same work", () => {
  it("share one run and its result", async () => {
    const joins = new Joins<string>();
    const { runs, start } = work();
    const callers = Array.from({ length: 50 }, () => joins.join("a", undefined, start, never));
    runs[0]?.finish("done");
    expect(new Set(await Promise.all(callers))).toEqual(new Set(["done"]));
    expect(runs).toHaveLength(1);
  });

  it("of different keys do not", async () => {
    const joins = new Joins<string>();
    const { runs, start } = work();
    const callers = ["a", "b"].map((key) => joins.join(key, undefined, start, never));
    for (const run of runs) run.finish("x");
    await Promise.all(callers);
    expect(runs).toHaveLength(2);
  });

  it("may leave one by one; the work goes on for the others", async () => {
    const joins = new Joins<string>();
    const { runs, start } = work();
    const leaving = Array.from({ length: 25 }, () => new AbortController());
    const left = leaving.map(({ signal }) => joins.join("a", undefined, start, signal));
    const staying = Array.from({ length: 25 }, () => joins.join("a", undefined, start, never));
    for (const controller of leaving) controller.abort();
    const results = await Promise.allSettled(left);
    expect(results.every(({ status }) => status === "rejected")).toBe(true);
    expect(runs[0]?.signal.aborted).toBe(false);
    runs[0]?.finish("done");
    expect(new Set(await Promise.all(staying))).toEqual(new Set(["done"]));
  });

  it("end the work when the last one leaves, and who comes then starts anew", async () => {
    const joins = new Joins<string>();
    const { runs, start } = work();
    const controllers = [new AbortController(), new AbortController()];
    const callers = controllers.map(({ signal }) => joins.join("a", undefined, start, signal));
    for (const controller of controllers) controller.abort();
    await Promise.allSettled(callers);
    expect(runs[0]?.signal.aborted).toBe(true);
    const next = joins.join("a", undefined, start, never);
    expect(runs).toHaveLength(2);
    runs[1]?.finish("second");
    expect(await next).toBe("second");
  });

  it("all get the error, and the next one a new try", async () => {
    const joins = new Joins<string>();
    const failing = () => Promise.reject(new Error("no"));
    const callers = await Promise.allSettled([1, 2].map(() => joins.join("a", undefined, failing, never)));
    expect(callers.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await joins.join("a", undefined, async () => "now", never)).toBe("now");
  });

  it("who join late are told the last state of each layer", async () => {
    const joins = new Joins<string>();
    const { runs, start } = work();
    const seen: string[] = [];
    const first = joins.join("a", (p) => seen.push(`1 ${p.digest} ${p.state}`), start, never);
    const layer = { digest: "x", bytes: 0, totalBytes: 1 };
    runs[0]?.report({ ...layer, state: "waiting" });
    runs[0]?.report({ ...layer, state: "downloading" });
    const second = joins.join("a", (p) => seen.push(`2 ${p.digest} ${p.state}`), start, never);
    runs[0]?.report({ ...layer, state: "done" });
    runs[0]?.finish("");
    await Promise.all([first, second]);
    expect(seen).toEqual(["1 x waiting", "1 x downloading", "2 x downloading", "1 x done", "2 x done"]);
  });
});

describe("slots", () => {
  it("let so many in at once, and the others in their order", async () => {
    const slots = new Slots(2);
    const order: number[] = [];
    let running = 0;
    let most = 0;
    await Promise.all(
      [1, 2, 3, 4, 5].map(async (n) => {
        using _ = await slots.take(never);
        order.push(n);
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
      }),
    );
    expect(order).toEqual([1, 2, 3, 4, 5]);
    expect(most).toBe(2);
  });

  it("are not lost by who leaves while waiting, or gives back twice", async () => {
    const slots = new Slots(1);
    const held = await slots.take(never);
    const controller = new AbortController();
    const waiting = slots.take(controller.signal);
    const next = slots.take(never);
    controller.abort();
    await expect(waiting).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
    held[Symbol.dispose]();
    held[Symbol.dispose]();
    const second = await next;
    let isIn = false;
    const third = slots.take(never).then((slot) => {
      isIn = true;
      return slot;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isIn).toBe(false);
    second[Symbol.dispose]();
    (await third)[Symbol.dispose]();
  });
});
