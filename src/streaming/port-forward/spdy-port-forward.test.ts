import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SpdyClient } from "../spdy/client.fixture.ts";
import { rstStatus, rstStream } from "../spdy/frame.ts";
import { MemoryTransport } from "../transport.fixture.ts";
import { SpdyPortForward } from "./spdy-port-forward.ts";

describe("port-forward over SPDY", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("keeps nothing of streams that were reset before their partner came (S4)", () => {
    const transport = new MemoryTransport();
    const forwarding = new SpdyPortForward(transport, {
      sandboxId: "pod-1",
      dialer: { connect: () => Promise.reject(new Error("nobody is dialled for half a pair")) },
      setupMs: 30_000,
      onActivity: () => {},
    });
    const client = new SpdyClient((bytes) => transport.receive(bytes));
    for (let i = 0; i < 10_000; i++) {
      const id = client.open({ streamtype: "error", requestid: String(i), port: "80" });
      client.raw(rstStream(id, rstStatus.cancel));
    }
    // Each half pair has a timer.
    expect(vi.getTimerCount()).toBe(0);
    const half = client.open({ streamtype: "error", requestid: "0", port: "80" });
    expect(vi.getTimerCount()).toBe(1);
    transport.written.length = 0;
    vi.advanceTimersByTime(30_000);
    expect(Buffer.concat(transport.written)).toEqual(rstStream(half, rstStatus.cancel));
    forwarding.destroy();
  });
});
