/** Much data, slow clients and many of them. Rows S5 and U6 of the security bar, A14 of the fault matrix. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { crictlPath } from "../../support/crictl.ts";
import { heldDescriptors, MemoryWatch, rssMib, runtimePids } from "../../support/costs.ts";
import { CrictlSession, crictlExec } from "../../support/crictl-session.ts";
import type { TestDaemon } from "../../support/daemon.ts";
import { expectAgreement } from "../../support/oracle.ts";
import { container, exec, output, runPod, startContainer } from "../../support/pods.ts";
import { scale } from "../../support/scale.ts";
import { within } from "../../support/slowness.ts";
import { openStreams, RawWebSocket, type Spdy, spdy } from "../../support/stream-clients.ts";
import { useNode } from "../../support/use-node.ts";
import { waitFor } from "../../support/wait.ts";

const node = useNode();
const transports = ["spdy", "websocket"] as const;
const parrot = ["/bin/sh", "-c", 'while read -r line; do echo "you said $line"; done; sleep 1000'];

async function started(more: Parameters<typeof container>[1] = {}) {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon);
  const id = await startContainer(daemon, sandbox, container(image, more));
  return { daemon, sandbox, id };
}

async function execUrl(daemon: TestDaemon, containerId: string, ...cmd: string[]): Promise<string> {
  return (await daemon.client.exec({ containerId, cmd, stdin: true, stdout: true })).url;
}

/** An exec over SPDY that has begun. */
async function spdyExec(daemon: TestDaemon, id: string, ...command: string[]): Promise<Spdy> {
  const session = await spdy(await execUrl(daemon, id, ...command));
  await openStreams(session, "error", "stdin", "stdout");
  return session;
}

/** How many processes of the container have `text` in their command line. */
async function count(daemon: TestDaemon, id: string, text: string): Promise<number> {
  const pattern = `[${text[0]}]${text.slice(1)}`;
  return Number(await output(daemon, id, `ps | grep -c '${pattern}' || true`));
}

/** The processor time that each of `pids` (text for a shell) has used. */
function ticksOf(daemon: TestDaemon, id: string, pids: string): Promise<string> {
  return output(daemon, id, `for p in ${pids}; do cut -d' ' -f14,15 /proc/$p/stat; done`);
}

/** Waits until there are `count` and none uses the processor any more. Resolves with what they have used. */
async function allWait(daemon: TestDaemon, id: string, pids: string, count: number): Promise<string> {
  await waitFor("all to run", async () => (await ticksOf(daemon, id, pids)).split("\n").length === count);
  let last = "";
  const wait = async () => {
    const now = await ticksOf(daemon, id, pids);
    const still = now === last;
    last = now;
    return still;
  };
  await waitFor("all to wait", wait, { intervalMs: 500, timeoutMs: 60_000 });
  return last;
}

describe.each(transports)("by %s", (transport) => {
  const bytes = scale(128_000_000, 1_000_000_000);

  it.each(["input", "output"])("much %s flows with the runtime's memory flat", async (direction) => {
    const { daemon, id } = await started();
    await crictlExec(daemon.socket, transport, id, ["/bin/true"], "");
    const crictl = `${await crictlPath()} --config=/dev/null --timeout=60s --runtime-endpoint=unix://${daemon.socket}`;
    const command = `${crictl} exec --transport ${transport}`;
    const script =
      direction === "input"
        ? `head -c ${bytes} /dev/zero | ${command} -i ${id} wc -c`
        : `${command} ${id} head -c ${bytes} /dev/zero | wc -c`;
    using memory = new MemoryWatch(runtimePids(daemon));
    const child = spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (piece: Buffer) => {
      text += piece.toString();
    });
    const [code] = await once(child, "close");
    expect([code, text.trim()]).toEqual([0, String(bytes)]);
    const [ofDaemon = 0, ...ofMonitors] = memory.growth;

    expect(ofDaemon).toBeLessThan(32);
    expect(Math.max(...ofMonitors)).toBeLessThan(4);
  });

  it("output that nobody reads stops the process, not the runtime", async () => {
    const { daemon, id } = await started();
    await crictlExec(daemon.socket, transport, id, ["/bin/true"], "");
    const pids = runtimePids(daemon);
    const url = await execUrl(daemon, id, "/bin/yes");
    const count = scale(10, 100);
    using memory = new MemoryWatch(pids);
    await using held = new AsyncDisposableStack();
    for (let i = 0; i < count; i++) {
      const address = i === 0 ? url : await execUrl(daemon, id, "/bin/yes");
      const session =
        transport === "spdy" ? await spdy(address, { read: false }) : await RawWebSocket.open(address);
      held.use({ [Symbol.asyncDispose]: async () => session[Symbol.dispose]() });
      session.connection.socket.pause();
      if ("client" in session)
        for (const streamtype of ["error", "stdin", "stdout"]) session.client.open({ streamtype });
    }
    const last = await allWait(daemon, id, "$(pidof yes)", count);
    await delay(scale(0, 600_000));
    expect(await ticksOf(daemon, id, "$(pidof yes)")).toBe(last);
    const [ofDaemon = 0, ...ofMonitors] = memory.growth;
    expect(ofDaemon).toBeLessThan(4 * count);
    expect(Math.max(...ofMonitors)).toBeLessThan(4 * count);
  });
});

describe("single bytes", () => {
  it("that nobody reads stop their process, and hold nothing up when their clients leave (S5)", async () => {
    const { daemon, id } = await started();
    const script = "echo $$ >> /tmp/pids; while :; do printf x; done";
    const total = 5;
    using sessions = new DisposableStack();
    for (let i = 0; i < total; i++) {
      const url = await execUrl(daemon, id, "/bin/sh", "-c", script);
      const session = sessions.use(await spdy(url, { read: false }));
      session.connection.socket.pause();
      for (const streamtype of ["error", "stdin", "stdout"]) session.client.open({ streamtype });
    }
    await allWait(daemon, id, "$(cat /tmp/pids)", total);
    sessions.dispose();
    let slowestMs = 0;
    await waitFor("their end", async () => {
      const before = performance.now();
      await daemon.client.version({});
      slowestMs = Math.max(slowestMs, performance.now() - before);
      return (await count(daemon, id, "do printf")) === 0;
    });
    expect(slowestMs).toBeLessThan(within(500));
  });
});

describe("many", () => {
  it("idle execs are held, and given back with all they took", async () => {
    const { daemon, id } = await started();
    const total = scale(100, 1000);
    const hold = async () => {
      const sessions: Spdy[] = [];
      const end = async () => {
        for (const session of sessions) session[Symbol.dispose]();
        await waitFor("their end", async () => (await count(daemon, id, "sleep 7777")) === 0, {
          timeoutMs: 60_000,
        });
      };
      while (sessions.length < total)
        sessions.push(
          ...(await Promise.all(
            Array.from({ length: 10 }, () => spdyExec(daemon, id, "/bin/sleep", "7777")),
          )),
        );
      await waitFor("all to run", async () => (await count(daemon, id, "sleep 7777")) === total, {
        timeoutMs: 60_000,
      });
      return end;
    };
    // From its first exec on a container keeps what execs join its cgroups by.
    expect(await count(daemon, id, "sleep 7777")).toBe(0);
    const before = heldDescriptors(daemon);
    await (await hold())();
    await waitFor("the descriptors' return", () => heldDescriptors(daemon) <= before);
    const once = rssMib(daemon.pid);
    await (await hold())();
    await waitFor("the descriptors' return", () => heldDescriptors(daemon) <= before);
    expect(rssMib(daemon.pid) - once).toBeLessThan(32);
  });

  it("attaches come and go without a trace, whichever side ends them (U6)", async () => {
    const { daemon, id } = await started({ command: parrot, stdin: true, tty: true });
    let turn = 0;
    const one = async () => {
      const how = turn++ % 3;
      const request = { containerId: id, stdin: true, stdout: true, tty: true };
      const { url } = await daemon.client.attach(request);
      if (how === 0) {
        using socket = await RawWebSocket.open(url, { protocols: ["v5.channel.k8s.io"] });
        socket.send(4, '{"Width":80,"Height":24}');
        socket.send(255, Buffer.of(0));
        socket.connection.socket.destroy();
        await socket.connection.closed;
      } else {
        using session = await spdy(url);
        const { resize, stdin } = await openStreams(session, "error", "stdin", "stdout", "resize");
        session.client.send(resize, '{"Width":81,"Height":25}');
        session.client.send(stdin, "", how === 1);
        session.connection.socket.destroy();
        await session.connection.closed;
      }
    };
    const round = () => Promise.all(Array.from({ length: 10 }, one));
    await round();
    await waitFor("the first descriptors' return", async () => {
      const now = heldDescriptors(daemon);
      await delay(200);
      return heldDescriptors(daemon) === now;
    });
    const before = heldDescriptors(daemon);
    using memory = new MemoryWatch(runtimePids(daemon));
    for (let i = 0; i < scale(20, 500); i++) await round();
    await waitFor("the descriptors' return", () => heldDescriptors(daemon) <= before);
    const [ofDaemon = 0, ...ofMonitors] = memory.growth;
    expect(ofDaemon).toBeLessThan(32);
    expect(Math.max(...ofMonitors)).toBeLessThan(2);
    using last = await spdy(
      (await daemon.client.attach({ containerId: id, stdin: true, stdout: true, tty: true })).url,
    );
    const { stdin, stdout } = await openStreams(last, "error", "stdin", "stdout", "resize");
    last.client.send(stdin, "still there\n");
    await last.client.until(() => last.client.text(stdout).includes("you said still there"));
  });

  it("execs of a program that is missing, resized in floods, leave nothing", async () => {
    const { daemon, id } = await started();
    const one = async () => {
      const { url } = await daemon.client.exec({
        containerId: id,
        cmd: ["/nonexistent"],
        tty: true,
        stdin: true,
        stdout: true,
      });
      using session = await spdy(url);
      const { resize } = await openStreams(session, "error", "stdin", "stdout", "resize");
      for (let i = 0; i < 20; i++) session.client.send(resize, `{"Width":${80 + i},"Height":24}`);
      await session.connection.closed;
    };
    await one();
    const before = heldDescriptors(daemon);
    for (let i = 0; i < scale(5, 500); i++) await Promise.all(Array.from({ length: 10 }, one));
    await waitFor("the descriptors' return", () => heldDescriptors(daemon) <= before);
  });
});

describe("a daemon that is killed with streams open (A14)", () => {
  it("leaves no exec behind, keeps its containers, and serves new streams", async () => {
    const { daemon, sandbox, id } = await started({ command: parrot, stdin: true });
    const server = "echo served > /tmp/index.html; httpd -p 8080 -h /tmp";
    expect((await exec(daemon, id, server)).exitCode).toBe(0);
    const before = heldDescriptors(daemon);
    using stack = new DisposableStack();
    for (let i = 0; i < 50; i++) {
      const script = "setsid sleep 8888 & exec sleep 8888";
      stack.use(await spdyExec(daemon, id, "/bin/sh", "-c", script));
    }
    for (let i = 0; i < 20; i++) {
      const { url } = await daemon.client.attach({ containerId: id, stdin: true, stdout: true });
      const session = stack.use(await spdy(url));
      await openStreams(session, "error", "stdin", "stdout");
    }
    for (let i = 0; i < 10; i++) {
      const { url } = await daemon.client.portForward({ podSandboxId: sandbox.id, port: [8080] });
      const session = stack.use(await spdy(url, { protocols: ["portforward.k8s.io"] }));
      for (const streamtype of ["error", "data"])
        session.client.open({ streamtype, port: "8080", requestid: "0" });
      await session.client.until(() => session.client.replied.size === 2);
    }
    await waitFor("all execs", async () => (await count(daemon, id, "sleep 8888")) === 100);
    await daemon.restart();
    await waitFor("the end of all execs", async () => (await count(daemon, id, "sleep 8888")) === 0);
    await expectAgreement(daemon);
    await waitFor("the descriptors' return", () => heldDescriptors(daemon) <= before + 2);
    for (const transport of transports) {
      expect((await crictlExec(daemon.socket, transport, id, ["/bin/echo", "new"])).stdout).toBe("new\n");
      const args = ["attach", "--transport", transport, "-i", id];
      using attached = await CrictlSession.start(daemon.socket, args);
      await waitFor("the new attach", () => {
        attached.child.stdin.write(`${transport}\n`);
        return attached.stdout.includes(`you said ${transport}`);
      });
    }
  });
});
