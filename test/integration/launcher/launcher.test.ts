/** native/launcher: what reaches Node, and row D3 of the security bar. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import {
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { type TempDir, tempDir } from "../../support/temp-dir.ts";
import { waitFor } from "../../support/wait.ts";

const launcher = join(import.meta.dirname, "../../../build/bin/kobako");
const run = promisify(execFile);

interface Install extends AsyncDisposable {
  readonly bin: string;
  readonly lib: string;
}

/** An installation below a folder of its own. `node`: what stands for Node. */
async function install(node: string | "real", bundle: string): Promise<Install> {
  const folder: TempDir = await tempDir("launcher");
  const lib = join(folder.path, "usr/lib/kobako");
  const bin = join(folder.path, "usr/bin/kobako");
  await mkdir(lib, { recursive: true });
  await mkdir(join(bin, ".."));
  await copyFile(launcher, bin);
  await chmod(bin, 0o755);
  if (node === "real") await symlink(process.execPath, join(lib, "node"));
  else await writeFile(join(lib, "node"), node, { mode: 0o755 });
  await writeFile(join(lib, "kobako.mjs"), bundle);
  return { bin, lib, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

const tellAll = `#!/bin/sh\nfor a in "$@"; do printf 'arg %s\\n' "$a"; done\nenv | sed 's/^/env /'\n`;

describe("the launcher", () => {
  it("starts the bundle beside it by absolute paths, with the arguments as they are", async () => {
    await using at = await install(tellAll, "");
    const { stdout } = await run(at.bin, ["logs", "-f", "a b", ""], {
      cwd: "/",
      env: { PATH: "/nonexistent:/bin:/usr/bin" },
    });
    const args = stdout
      .split("\n")
      .filter((line) => line.startsWith("arg "))
      .map((line) => line.slice(4));
    expect(args.slice(args.indexOf(join(at.lib, "kobako.mjs")))).toEqual([
      join(at.lib, "kobako.mjs"),
      "logs",
      "-f",
      "a b",
      "",
    ]);
    expect(args).toContain("--disable-sigusr1");
    expect(args).toContain("--disallow-code-generation-from-strings");
    expect(args).not.toContain("--single-threaded");
  });

  it("gives the daemon a small heap, and only the daemon", async () => {
    await using at = await install(tellAll, "");
    const { stdout } = await run(at.bin, ["daemon"]);
    for (const flag of [
      "--max-semi-space-size=1",
      "--optimize-for-size",
      "--single-threaded",
      "--v8-pool-size=0",
    ])
      expect(stdout).toContain(`arg ${flag}\n`);
  });

  it("lets no NODE_ variable of the caller through, and others alone", async () => {
    await using at = await install(tellAll, "");
    const env = {
      NODE_OPTIONS: "--inspect",
      NODE_PATH: "/x",
      NODE_DEBUG: "*",
      NODE_V8_COVERAGE: "/x",
      NODE_EXTRA_CA_CERTS: "/x",
      KEEP: "1",
      PATH: "/bin:/usr/bin",
    };
    const { stdout } = await run(at.bin, ["pods"], { env });
    const names = stdout
      .split("\n")
      .filter((line) => line.startsWith("env "))
      .map((line) => line.slice(4).split("=")[0]);
    expect(names.filter((name) => name?.startsWith("NODE_"))).toEqual(["NODE_COMPILE_CACHE"]);
    expect(names).toContain("KEEP");
    expect(stdout).toContain("env MALLOC_ARENA_MAX=1\n");
    expect(stdout).toContain(`env NODE_COMPILE_CACHE=${at.lib}/cache\n`);
  });

  it("works through a symbolic link", async () => {
    await using at = await install(tellAll, "");
    const alias = join(at.lib, "alias");
    await symlink(at.bin, alias);
    expect((await run(alias, ["x"])).stdout).toContain(`arg ${join(at.lib, "kobako.mjs")}\n`);
  });

  it("says what is missing", async () => {
    await using at = await install(tellAll, "");
    await rm(join(at.lib, "node"));
    await expect(run(at.bin, ["x"])).rejects.toMatchObject({
      code: 127,
      stderr: expect.stringMatching(/^kobako: start .*\/node: No such file/),
    });
    await rm(join(at.lib, "kobako.mjs"));
    await expect(run(at.bin, ["x"])).rejects.toMatchObject({
      code: 127,
      stderr: expect.stringMatching(/not installed whole: .*kobako.mjs/),
    });
  });

  it("keeps compiled code from one start to the next, where only its owner can write", async () => {
    await using at = await install(
      "real",
      "console.log(await import('node:module').then(m => m.getCompileCacheDir() ?? 'none'))",
    );
    const { stdout } = await run(at.bin, ["x"]);
    expect(stdout.startsWith(`${at.lib}/cache`)).toBe(true);
    expect(existsSync(join(at.lib, "cache"))).toBe(true);
    await chmod(at.lib, 0o777);
    const unsafe = (await run(at.bin, ["x"])).stdout.trim();
    expect(unsafe === "none" || unsafe.startsWith("/var/cache/kobako/")).toBe(true);
  });

  it.each(["daemon", "pods"])("opens no debug port on SIGUSR1 nor by NODE_OPTIONS (%s)", async (command) => {
    await using at = await install(
      "real",
      "console.log('up'); setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0));",
    );
    const child = spawn(at.bin, [command], {
      env: { ...process.env, NODE_OPTIONS: "--inspect=127.0.0.1:0" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    try {
      let stderr = "";
      child.stderr.on("data", (text) => {
        stderr += text;
      });
      await once(child.stdout, "data");
      for (let i = 0; i < 20; i++) child.kill("SIGUSR1");
      // A round trip through the event loop of the child: signals sent before are handled by then.
      await waitFor("the signals", async () =>
        /^SigPnd:\s+0+$/m.test(await readFile(`/proc/${child.pid}/status`, "utf8")),
      );
      expect(child.exitCode).toBe(null);
      expect(await listeningSockets(child.pid ?? 0)).toEqual([]);
      expect(stderr).not.toMatch(/Debugger listening/);
    } finally {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    }
  });

  it("code from strings is refused", async () => {
    await using at = await install(
      "real",
      "try { new Function('return 1')(); console.log('ran'); } catch (e) { console.log(e.name); }",
    );
    expect((await run(at.bin, ["x"])).stdout).toBe("EvalError\n");
  });
});

/** Local addresses of the listening TCP sockets of a process. */
async function listeningSockets(pid: number): Promise<string[]> {
  const inodes = new Set<string>();
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode) inodes.add(inode);
  }
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/${pid}/net/${name}`, "utf8")),
  );
  return tables
    .flatMap((text) => text.trim().split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === "0A" && inodes.has(fields[9] ?? ""))
    .map((fields) => fields[1] ?? "");
}
