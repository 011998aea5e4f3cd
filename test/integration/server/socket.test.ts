/** Row D2 of the security bar. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  statSync,
  unlinkSync,
  watch,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { runtimeService } from "../../../cri-api/index.ts";
import { createLogger } from "../../../src/log/log.ts";
import { type RunningServer, startServer } from "../../../src/server/grpc-server.ts";
import { criClient } from "../../support/cri-client.ts";
import { tempDir } from "../../support/temp-dir.ts";

const log = createLogger({ level: "silent" });
const start = (socketPath: string): Promise<RunningServer> =>
  startServer({
    socketPath,
    services: [{ table: runtimeService, handlers: { version: async () => ({ version: "v" }) } }],
    log,
  });

async function answers(path: string): Promise<boolean> {
  const client = criClient(path);
  try {
    return (await client.version({}, { timeoutMs: 2_000 })).version === "v";
  } catch {
    return false;
  } finally {
    client.close();
  }
}

describe("the socket", () => {
  it("is never open to others, from the first moment that its name is there", async () => {
    await using folder = await tempDir("socket");
    const path = join(folder.path, "k.sock");
    const seen = new Set<string>();
    // Synchronous looks at every event of the folder: nothing of the server's runs in between.
    const look = () => {
      for (const name of readdirSync(folder.path)) {
        const stat = lstatSync(join(folder.path, name), { throwIfNoEntry: false });
        if (stat) seen.add(`${stat.isSocket() ? "socket" : "folder"} ${(stat.mode & 0o777).toString(8)}`);
      }
    };
    using watcher = Object.assign(watch(folder.path, look), { [Symbol.dispose]: () => watcher.close() });
    for (let round = 0; round < 20; round++) {
      const server = await start(path);
      look();
      await server.close(0);
    }
    expect([...seen].toSorted()).toEqual(["folder 700", "socket 660"]);
  });

  it("another user cannot connect, at any time of a start", async () => {
    await using folder = await tempDir("socket");
    const path = join(folder.path, "k.sock");
    // The folder itself is open: only the socket's own mode is left to keep others out.
    chmodSync(folder.path, 0o755);
    const script = `process.setgroups([]); process.setgid(65534); process.setuid(65534);
      const net = require("node:net"); let open = 0, refused = 0;
      const go = () => { const s = net.connect(process.argv[1]); s.on("connect", () => { open++; s.destroy(); setImmediate(go); });
        s.on("error", (e) => { if (e.code === "EACCES") refused++; setImmediate(go); }); };
      go(); process.on("SIGTERM", () => { console.log(JSON.stringify({ open, refused })); process.exit(0); });`;
    // Another user from the inside: a checkout in root's home is closed to a Node that starts as nobody.
    const other = spawn(process.execPath, ["-e", script, path], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    other.stdout.on("data", (chunk) => {
      text += chunk;
    });
    await once(other, "spawn");
    const end = performance.now() + 3_000;
    while (performance.now() < end) await (await start(path)).close(0);
    other.kill("SIGTERM");
    await once(other, "exit");
    const { open, refused } = JSON.parse(text) as { open: number; refused: number };
    expect(open).toBe(0);
    expect(refused).toBeGreaterThan(0);
  });

  it("of a dead server is replaced", async () => {
    await using folder = await tempDir("socket");
    const path = join(folder.path, "k.sock");
    const script = `require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
    await once(spawn(process.execPath, ["-e", script, path]), "exit");
    expect(statSync(path).isSocket()).toBe(true);
    const server = await start(path);
    expect(await answers(path)).toBe(true);
    await server.close(0);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it("of a dead server is replaced also by one that is too slow to do it in time", async () => {
    await using folder = await tempDir("socket");
    const path = join(folder.path, "k.sock");
    const script = `require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
    await once(spawn(process.execPath, ["-e", script, path]), "exit");
    // Each look at the clock is a minute after the one before.
    let now = performance.now();
    using clock = vi.spyOn(performance, "now").mockImplementation(() => (now += 60_000));
    const server = await start(path);
    clock.mockRestore();
    expect(await answers(path)).toBe(true);
    await server.close(0);
  });

  it("of a living server is not stolen, and the refusal says what to do", async () => {
    await using folder = await tempDir("socket");
    const path = join(folder.path, "k.sock");
    const server = await start(path);
    await expect(start(path)).rejects.toMatchObject({
      kind: "failed-precondition",
      message: expect.stringContaining(`another server answers on ${path}: stop it, or set server.socket`),
    });
    expect(await answers(path)).toBe(true);
    await server.close(0);
  });

  it("of somebody who accepts and says nothing is not stolen either", async () => {
    await using folder = await tempDir("socket");
    const path = join(folder.path, "k.sock");
    const mute = createServer(() => {}).listen(path);
    await once(mute, "listening");
    await expect(start(path)).rejects.toMatchObject({ kind: "failed-precondition" });
    mute.close();
  });

  it("goes to one of several that start at the same moment, stale file or not", async () => {
    await using folder = await tempDir("socket");
    for (let round = 0; round < 10; round++) {
      const path = join(folder.path, `k${round}.sock`);
      if (round % 2 === 0) {
        const script = `require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
        await once(spawn(process.execPath, ["-e", script, path]), "exit");
      }
      const results = await Promise.allSettled([start(path), start(path), start(path), start(path)]);
      const won = results.filter((result) => result.status === "fulfilled");
      expect(won).toHaveLength(1);
      expect(await answers(path)).toBe(true);
      await won[0]?.value.close(0);
      expect(existsSync(path)).toBe(false);
    }
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it("does not replace a file that is no socket, nor take a name that is too long", async () => {
    await using folder = await tempDir("socket");
    const path = join(folder.path, "k.sock");
    writeFileSync(path, "precious");
    await expect(start(path)).rejects.toThrow(/exists and is not a socket/);
    expect(statSync(path).size).toBe(8);
    await expect(start(join(folder.path, "x".repeat(120)))).rejects.toThrow(/longer than 107 bytes/);
    expect(readdirSync(folder.path)).toEqual(["k.sock"]);
  });

  it("of another server that took the name after us is left alone at our end", async () => {
    await using folder = await tempDir("socket");
    const path = join(folder.path, "k.sock");
    const first = await start(path);
    unlinkSync(path);
    const second = await start(path);
    await first.close(0);
    expect(await answers(path)).toBe(true);
    await second.close(0);
    expect(readdirSync(dirname(path))).toEqual([]);
  });
});
