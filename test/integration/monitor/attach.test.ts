/** Attaching to a container as its clients see it: who gets what from when, whose input, how it ends. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
  type ContainerOptions,
  inTime,
  type Json,
  MonitorPod,
  type RawConnection,
} from "../../support/monitor.ts";
import { waitFor } from "../../support/wait.ts";

async function attach(pod: MonitorPod, container: string, stdin: boolean): Promise<RawConnection> {
  const connection = await pod.connect();
  await connection.request("attach", { container, stdin });
  return connection;
}

const reader = "while read x; do echo got $x; done; echo over; exit 7";

async function start(pod: MonitorPod, script: string, options: Partial<ContainerOptions> = {}) {
  const control = await pod.subscribe();
  const id = await pod.shell(control, script, { stdin: true, ...options });
  return { control, id };
}

const count = 1_000_000;
const numbers = Array.from({ length: count }, (_, i) => `${i + 1}\n`).join("");

/** Takes 64 KiB of what has come, or twice that: what Node has read ahead, so that it reads again. */
async function takePiece({ socket }: RawConnection): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = 64 << 10;
  const take = (bytes: Buffer) => {
    left -= bytes.length;
    if (left > 0) return;
    socket.off("data", take);
    socket.pause();
    resolve();
  };
  socket.on("data", take);
  socket.resume();
  await inTime("a piece", promise);
}

const detached: Json = { exit_code: 0, signal: 0, timed_out: false, detached: true };

describe("an attach", () => {
  it("gets what is written from then on; what was before is in the log", async () => {
    await using pod = await MonitorPod.start();
    const { control, id } = await start(pod, `echo before; ${reader}`);
    await waitFor("the first line", () => pod.logText(id) === "before\n");
    const late = await attach(pod, id, true);
    late.sendFrame(0, "a\n");
    expect(await late.output(/got a/)).toBe("got a\n");
    await control.request("kill", { container: id, signal: 9, all: false });
  });

  it("stays while others come and go, and each gets all", async () => {
    await using pod = await MonitorPod.start();
    const { id } = await start(pod, reader);
    const [first, second] = [await attach(pod, id, true), await attach(pod, id, true)];
    first.sendFrame(0, "one\n");
    for (const connection of [first, second]) await connection.output(/got one\n/);
    second.sendFrame(0, "two\n");
    for (const connection of [first, second]) await connection.output(/got two\n/);
    second.close();
    const third = await attach(pod, id, true);
    third.sendFrame(0, "three\n");
    expect(await third.output(/three/)).toBe("got three\n");
    expect(await first.output(/three/)).toBe("got one\ngot two\ngot three\n");
  });

  it("comes back to a container that nobody was attached to for a while, as after a restart of the daemon", async () => {
    await using pod = await MonitorPod.start();
    const { control, id } = await start(pod, reader);
    (await attach(pod, id, true)).close();
    control.close();
    const again = await attach(pod, id, true);
    again.sendFrame(0, "hello\n");
    await again.output(/got hello/);
  });

  it("that ends its input leaves a container that others may write to", async () => {
    await using pod = await MonitorPod.start();
    const { control, id } = await start(pod, reader);
    for (const end of [
      (connection: RawConnection) => connection.sendFrame(0, ""),
      (connection: RawConnection) => connection.socket.end(),
    ]) {
      const connection = await attach(pod, id, true);
      end(connection);
      expect((await connection.collect()).status).toEqual(detached);
      await connection.cut();
    }
    const next = await attach(pod, id, true);
    next.sendFrame(0, "still\n");
    await next.output(/got still/);
    expect(await control.request("state")).toMatchObject({ containers: [{ state: "running" }] });
  });

  it("of output alone has no say: its input is dropped, its end ends nothing", async () => {
    await using pod = await MonitorPod.start();
    const { id } = await start(pod, reader, { stdinOnce: true });
    const watching = await attach(pod, id, false);
    watching.sendFrame(0, "not me\n");
    watching.sendFrame(0, "");
    const writing = await attach(pod, id, true);
    writing.sendFrame(0, "me\n");
    await writing.output(/got/);
    expect(await watching.output(/got/)).toBe("got me\n");
  });

  it.each([
    ["says so", (connection: RawConnection) => connection.sendFrame(0, ""), true],
    ["sends no more", (connection: RawConnection) => connection.socket.end(), true],
    ["goes away", (connection: RawConnection) => connection.close(), false],
  ])(
    "to a container with stdin_once is its only input: that ends when the client %s",
    async (_, end, stays) => {
      await using pod = await MonitorPod.start();
      const { control, id } = await start(pod, reader, { stdinOnce: true });
      const connection = await attach(pod, id, true);
      connection.sendFrame(0, "a\n");
      await connection.output(/got a/);
      end(connection);
      expect(await control.event("exit", id)).toMatchObject({ exit_code: 7 });
      expect(pod.logText(id)).toBe("got a\nover\n");
      if (stays) expect((await connection.collect()).stdout).toBe("got a\nover\n");
    },
  );

  it("waits with its first byte for its client, also with stdin_once", async () => {
    await using pod = await MonitorPod.start();
    const { id } = await start(pod, "cat", { stdinOnce: true });
    const connection = await attach(pod, id, true);
    connection.sendFrame(0, "all of it");
    connection.sendFrame(0, "");
    expect(await connection.collect()).toMatchObject({ stdout: "all of it", status: { exit_code: 0 } });
  });

  it("of a slow reader sets the pace of the container as long as it reads", async () => {
    await using pod = await MonitorPod.start();
    const { id } = await start(pod, `read x; seq 1 ${count}`);
    const connection = await attach(pod, id, true);
    connection.socket.pause();
    connection.sendFrame(0, "go\n");
    // For longer than a client may take nothing.
    for (let piece = 0; piece < 5; piece++) {
      await delay(2500);
      await takePiece(connection);
    }
    connection.socket.resume();
    expect((await connection.collect()).stdout === numbers).toBe(true);
  }, 60_000);

  it("of a slow reader loses nothing, whoever comes and goes meanwhile", async () => {
    await using pod = await MonitorPod.start();
    const { id } = await start(pod, `read x; seq 1 ${count}`);
    const slow = await attach(pod, id, true);
    slow.socket.pause();
    slow.sendFrame(0, "go\n");
    for (let other = 0; other < 100; other++) {
      const connection = await attach(pod, id, true);
      connection.sendFrame(0, "");
      expect((await connection.collect()).status).toEqual(detached);
    }
    slow.socket.resume();
    expect((await slow.collect()).stdout === numbers).toBe(true);
  });

  it("of a client that takes nothing is cut off after 5 s: the container, its input and others go on", async () => {
    await using pod = await MonitorPod.start();
    const { id } = await start(pod, `read x; seq 1 ${count}; touch /tmp/said; ${reader}`, {
      stdinOnce: true,
    });
    const [stuck, watching] = [await attach(pod, id, true), await attach(pod, id, false)];
    stuck.socket.pause();
    stuck.sendFrame(0, "go\n");
    const began = performance.now();
    await waitFor("the container to go on", () => existsSync(join(pod.folder, `${id}.upper/tmp/said`)));
    expect(performance.now() - began).toBeGreaterThanOrEqual(5000);
    const next = await attach(pod, id, true);
    next.sendFrame(0, "more\n");
    await next.output(/got more\n/);
    next.sendFrame(0, "");
    expect((await watching.collect()).stdout === `${numbers}got more\nover\n`).toBe(true);
    stuck.socket.resume();
    await stuck.cut();
    expect(stuck.frames.some(({ stream }) => stream === 3)).toBe(false);
  }, 60_000);

  it("sets the size of the container's terminal", async () => {
    await using pod = await MonitorPod.start();
    const { id } = await start(pod, "while read x; do stty size; done", { tty: true });
    const connection = await attach(pod, id, true);
    for (const [width, height] of [
      [120, 40],
      [80, 25],
    ]) {
      connection.sendFrame(4, JSON.stringify({ width, height }));
      connection.sendFrame(0, "\n");
      await connection.output(new RegExp(`^${height} ${width}\\r$`, "m"));
    }
  });

  it("to a container that has ended, or has not begun, is refused with its state", async () => {
    await using pod = await MonitorPod.start();
    const control = await pod.subscribe();
    const id = await pod.create(control, { args: ["/bin/true"], stdin: true });
    const refused = async () => (await control.ask("attach", { container: id, stdin: true })).error;
    expect(await refused()).toMatchObject({
      kind: "failed-precondition",
      message: `container ${id} is created`,
    });
    await control.request("start", { container: id });
    await control.event("exit", id);
    expect(await refused()).toMatchObject({
      kind: "failed-precondition",
      message: `container ${id} is exited`,
    });
    expect(await control.refusal("state")).toBe("none");
  });
});
