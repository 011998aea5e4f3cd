import { describe, expect, it } from "vitest";
import { Shared } from "./shared.ts";

function work() {
  const end = Promise.withResolvers<string>();
  let given: AbortSignal | undefined;
  let report: (n: number) => void = () => {};
  const shared = new Shared<string>((signal, r) => {
    given = signal;
    report = r;
    signal.addEventListener("abort", () => end.reject(signal.reason));
    return end.promise;
  });
  return { shared, end, report: (n: number) => report(n), isAborted: () => given?.aborted };
}

describe("shared work", () => {
  it("gives every caller its result and its reports", async () => {
    const w = work();
    const heard: number[] = [];
    const both = [
      w.shared.join(AbortSignal.any([]), (n) => heard.push(n)),
      w.shared.join(AbortSignal.any([]), (n) => heard.push(n)),
    ];
    w.report(7);
    w.end.resolve("done");
    expect(await Promise.all(both)).toEqual(["done", "done"]);
    expect(heard).toEqual([7, 7]);
  });

  it("goes on when one of two callers gives up", async () => {
    const w = work();
    const one = new AbortController();
    const first = w.shared.join(one.signal);
    const second = w.shared.join(AbortSignal.any([]));
    one.abort(new Error("not me"));
    await expect(first).rejects.toThrow("not me");
    expect(w.isAborted()).toBe(false);
    w.end.resolve("done");
    expect(await second).toBe("done");
  });

  it("is cancelled when the last caller gives up", async () => {
    const w = work();
    const one = new AbortController();
    const first = w.shared.join(one.signal);
    one.abort(new Error("enough"));
    await expect(first).rejects.toThrow("enough");
    expect(w.isAborted()).toBe(true);
  });
});
