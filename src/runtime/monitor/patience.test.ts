import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { waitPatiently } from "./patience.ts";

describe("the time that an answer may take", () => {
  it("does not count a stall of our own: what came meanwhile is read first", async () => {
    const server = createServer((peer) => peer.on("data", () => peer.write("answer"))).listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    await once(socket, "connect");
    const seen: string[] = [];
    const done = Promise.withResolvers<void>();
    const stop = waitPatiently(200, () => {
      seen.push("late");
      done.resolve();
    });
    socket.on("data", () => {
      seen.push("answer");
      stop();
      done.resolve();
    });
    socket.write("question");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    await done.promise;
    expect(seen).toEqual(["answer"]);
    socket.destroy();
    server.close();
  });

  it("ends when nothing comes, once, and not after it was stopped", async () => {
    let late = 0;
    await new Promise<void>((resolve) => {
      waitPatiently(40, () => {
        late++;
        resolve();
      });
    });
    const stop = waitPatiently(40, () => late++);
    stop();
    stop();
    await delay(100);
    expect(late).toBe(1);
  });
});
