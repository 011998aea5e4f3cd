/**
 * A daemon on a root of its own, everything of it below one folder, for hack/up, quickstart, bench and critest:
 *   DIR/config.toml, root/, run/, kobako.sock, kobako.log, kobako.pid
 * Several live side by side: what is host-global derives from the root's path.
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, realpathSync } from "node:fs";
import { mkdir, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parse, stringify, type TomlTable } from "smol-toml";
import { criClient } from "../test/support/cri-client.ts";
import { processInfo } from "../test/support/host.ts";
import { run } from "./run.ts";

const repository = join(import.meta.dirname, "..");
export const kobako = join(repository, "build/bin/kobako");

/** A unix socket's path has 108 bytes; pods' sockets stand deeper than ours. */
const maxFolderBytes = 60;

export interface OwnDaemon {
  readonly folder: string;
  readonly socket: string;
  readonly pid: number;
  readonly logFile: string;
  /** False: it ran already. */
  readonly started: boolean;
}

interface Paths {
  readonly folder: string;
  readonly socket: string;
  readonly config: string;
  readonly logFile: string;
  readonly pidFile: string;
}

function paths(root: string): Paths {
  const asked = resolve(root);
  const folder = existsSync(asked) ? realpathSync(asked) : asked;
  if (Buffer.byteLength(folder) > maxFolderBytes)
    throw new Error(`${folder}: too long for unix sockets below it (at most ${maxFolderBytes} bytes)`);
  return {
    folder,
    socket: join(folder, "kobako.sock"),
    config: join(folder, "config.toml"),
    logFile: join(folder, "kobako.log"),
    pidFile: join(folder, "kobako.pid"),
  };
}

/** The pid of the daemon that was started here, if that very process still lives. */
function livePid(p: Paths): number | undefined {
  if (!existsSync(p.pidFile)) return undefined;
  const [pid, startTime] = readFileSync(p.pidFile, "utf8").trim().split(" ");
  return processInfo(Number(pid))?.startTime === startTime ? Number(pid) : undefined;
}

/** The process of the daemon below `root`, while it lives. */
export function ownPid(root: string): number | undefined {
  return livePid(paths(root));
}

/** The user's settings with the paths of this folder over them; the embedded network unless they say otherwise. */
function settings(p: Paths, file: string | undefined, more: TomlTable): string {
  const given: TomlTable = file === undefined ? {} : parse(readFileSync(file, "utf8"));
  const table = (source: TomlTable, name: string) => (source[name] ?? {}) as TomlTable;
  return stringify({
    ...given,
    ...more,
    root: join(p.folder, "root"),
    state: join(p.folder, "run"),
    server: { ...table(given, "server"), socket: p.socket },
    runtimes: { ...table(more, "runtimes"), ...table(given, "runtimes") },
    network: {
      default: "embedded",
      // The machine's own CNI configuration is another runtime's business.
      conf_dirs: [join(p.folder, "cni.d")],
      ...table(given, "network"),
      ...table(more, "network"),
    },
  });
}

/** Starts a daemon below `root`, or finds the one that runs there. Returns when it answers. */
export async function startOwn(
  root: string,
  o: {
    config?: string | undefined;
    settings?: TomlTable;
    timeoutMs?: number;
    /** The command, where it is not the checkout's build. */
    program?: string;
  } = {},
): Promise<OwnDaemon> {
  const program = o.program ?? kobako;
  if (o.config !== undefined) {
    // Asked before anything is made, and by the name that the user knows.
    const { code, output } = await run([program, "config", "check", o.config]);
    if (code !== 0) throw new Error(output.trim());
  }
  await mkdir(root, { recursive: true, mode: 0o700 });
  const p = paths(root);
  const running = livePid(p);
  if (running !== undefined) {
    await serves(p, undefined, 10_000);
    return { folder: p.folder, socket: p.socket, pid: running, logFile: p.logFile, started: false };
  }
  await writeFile(p.config, settings(p, o.config, o.settings ?? {}));
  const log = openSync(p.logFile, "a");
  const child = spawn(program, ["daemon", "--config", p.config], {
    stdio: ["ignore", log, log],
    cwd: "/",
    detached: true,
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" },
  });
  closeSync(log);
  const ended = new Promise<string>((done) => {
    child.once("error", (error) => done(error.message));
    child.once("exit", (code, signal) => done(`exit code ${code ?? signal}`));
  });
  const pid = child.pid ?? 0;
  await writeFile(p.pidFile, `${pid} ${processInfo(pid)?.startTime ?? ""}\n`);
  await serves(p, ended, o.timeoutMs ?? 15_000);
  child.unref();
  return { folder: p.folder, socket: p.socket, pid, logFile: p.logFile, started: true };
}

async function serves(p: Paths, ended: Promise<string> | undefined, timeoutMs: number): Promise<void> {
  const client = criClient(p.socket);
  let end: string | undefined;
  ended?.then((how) => {
    end = how;
  });
  try {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      try {
        await client.version({}, { timeoutMs: 1000 });
        return;
      } catch (cause) {
        const tail = existsSync(p.logFile)
          ? readFileSync(p.logFile, "utf8").trimEnd().split("\n").slice(-15)
          : [];
        if (end !== undefined) throw new Error(`the daemon ended: ${end}\n${tail.join("\n")}`);
        if (performance.now() > deadline)
          throw new Error(`the daemon does not serve after ${timeoutMs} ms\n${tail.join("\n")}`, { cause });
        await delay(10);
      }
    }
  } finally {
    client.close();
  }
}

/**
 * Ends the daemon below `root`, removes its pods and every trace of it: namespaces, links, firewall tables, cgroups,
 * files. Succeeds when there is none. Files of others in the folder are left alone.
 */
export async function stopOwn(root: string): Promise<void> {
  if (!existsSync(root)) return;
  const p = paths(root);
  const pid = livePid(p);
  if (pid !== undefined) {
    process.kill(pid, "SIGTERM");
    const deadline = performance.now() + 15_000;
    while (livePid(p) !== undefined) {
      if (performance.now() > deadline) process.kill(pid, "SIGKILL");
      await delay(20);
    }
  }
  if (existsSync(p.config)) {
    const folders = [
      "--root",
      join(p.folder, "root"),
      "--state",
      join(p.folder, "run"),
      "--socket",
      p.socket,
    ];
    const reset = () => run([kobako, "reset", "--yes", "--config", p.config, ...folders]);
    let result = await reset();
    if (result.code !== 0) {
      // A file that was edited into something unreadable must not keep what it started.
      await writeFile(p.config, "");
      result = await reset();
    }
    if (result.code !== 0) throw new Error(`kobako reset: exit code ${result.code}\n${result.output}`);
  }
  for (const name of ["root", "run", "kobako.sock", "config.toml", "kobako.log", "kobako.pid", "cni.d"])
    await rm(join(p.folder, name), { recursive: true, force: true });
  if ((await readdir(p.folder)).length === 0) await rmdir(p.folder);
}
