/**
 * Servers that outlive the program that starts them: each is known by its name below one folder.
 * Keeps: <folder>/run/NAME.pid (process id and start time), <folder>/log/NAME.log (all its starts).
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { processInfo } from "../../test/support/host.ts";

export interface StartOptions {
  /** Asked until it gives true, or throws for something that will not heal. */
  readonly ready?: () => Promise<boolean>;
  /** For `ready`; default 60 s. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export class Processes {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  logFile(name: string): string {
    return join(this.folder, "log", `${name}.log`);
  }

  #pidFile(name: string): string {
    return join(this.folder, "run", `${name}.pid`);
  }

  /** The process that was started under this name, if that very one still lives. */
  pid(name: string): number | undefined {
    if (!existsSync(this.#pidFile(name))) return undefined;
    const [pid, startTime] = readFileSync(this.#pidFile(name), "utf8").trim().split(" ");
    const info = processInfo(Number(pid));
    return info?.startTime === startTime && info?.state !== "Z" ? Number(pid) : undefined;
  }

  /** Starts it, detached, and returns its process id when it is ready. One that lives already is left as it is. */
  async start(name: string, command: readonly string[], o: StartOptions = {}): Promise<number> {
    const running = this.pid(name);
    if (running !== undefined) return running;
    for (const folder of ["run", "log"]) await mkdir(join(this.folder, folder), { recursive: true });
    const log = openSync(this.logFile(name), "a");
    const [file = "", ...args] = command;
    const child = spawn(file, args, {
      stdio: ["ignore", log, log],
      cwd: "/",
      detached: true,
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        HOME: this.folder,
        ...o.env,
      },
    });
    closeSync(log);
    let end: string | undefined;
    child.once("error", (error) => {
      end = error.message;
    });
    child.once("exit", (code, signal) => {
      end = `exit code ${code ?? signal}`;
    });
    const pid = child.pid ?? 0;
    await writeFile(this.#pidFile(name), `${pid} ${processInfo(pid)?.startTime ?? ""}\n`);
    const deadline = performance.now() + (o.timeoutMs ?? 60_000);
    const ready = o.ready ?? (async () => true);
    while (!(await ready())) {
      if (end !== undefined) throw new Error(`${name} ended: ${end}\n${this.tail(name)}`);
      if (performance.now() > deadline)
        throw new Error(`${name} is not ready after ${o.timeoutMs ?? 60_000} ms\n${this.tail(name)}`);
      await delay(50);
    }
    child.unref();
    return pid;
  }

  /** The last lines of its log. */
  tail(name: string, lines = 15): string {
    const file = this.logFile(name);
    return existsSync(file)
      ? readFileSync(file, "utf8").trimEnd().split("\n").slice(-lines).join("\n")
      : "(no log)";
  }

  /** Ends it by `signal`, by SIGKILL after 10 s. Succeeds when it does not run. */
  async stop(name: string, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const pid = this.pid(name);
    if (pid !== undefined) {
      process.kill(pid, signal);
      const deadline = performance.now() + 10_000;
      while (this.pid(name) !== undefined) {
        if (performance.now() > deadline) process.kill(pid, "SIGKILL");
        await delay(20);
      }
    }
    rmSync(this.#pidFile(name), { force: true });
  }

  /** Names of those that were started here and not stopped. */
  names(): string[] {
    const folder = join(this.folder, "run");
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((name) => name.endsWith(".pid"))
      .map((name) => name.slice(0, -".pid".length));
  }
}

/** For `ready`: an HTTP(S) address answers 200. */
export async function answers(url: string): Promise<boolean> {
  return await fetch(url, { signal: AbortSignal.timeout(1000) }).then(
    (response) => response.ok,
    () => false,
  );
}
