/**
 * A real registry for one test: Debian's docker-registry on a free loopback port, its data in a folder
 * of its own, gone at the end.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type BuiltImage, type BuiltIndex, push } from "./image-builder.ts";
import { within } from "./slowness.ts";
import { type TempDir, tempDir } from "./temp-dir.ts";

/** What basic authentication asks for with `auth: true`. */
export const registryUser = "kobako";
export const registryPassword = "correct horse";
// bcrypt of the password above, cost 5: the registry knows no other kind.
const htpasswd = "kobako:$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2";

export interface RegistryOptions {
  /** Where the data lives; default: a temporary folder. A given one is kept at the end. */
  readonly folder?: string;
  /** 0, the default: one that the kernel picks. */
  readonly port?: number;
  /** Asks for basic authentication as `registryUser`. */
  readonly auth?: boolean;
}

export class Registry implements AsyncDisposable {
  /** "127.0.0.1:PORT", what stands before the first "/" of a reference. */
  readonly host: string;
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: TempDir | undefined;
  readonly #headers: Record<string, string>;

  private constructor(
    host: string,
    child: ChildProcess,
    folder: TempDir | undefined,
    headers: Record<string, string>,
  ) {
    this.host = host;
    this.url = `http://${host}`;
    this.#child = child;
    this.#folder = folder;
    this.#headers = headers;
  }

  /** Starts it and returns when it listens. Throws when docker-registry is missing (hack/setup installs it). */
  static async start(o: RegistryOptions = {}): Promise<Registry> {
    const temporary = o.folder === undefined ? await tempDir("registry") : undefined;
    const folder = o.folder ?? temporary?.path ?? "";
    await mkdir(join(folder, "data"), { recursive: true });
    await writeFile(join(folder, "htpasswd"), `${htpasswd}\n`);
    const config = {
      version: "0.1",
      log: { level: "info", formatter: "json", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
      http: { addr: `127.0.0.1:${o.port ?? 0}`, secret: "only for tests" },
      ...(o.auth ? { auth: { htpasswd: { realm: "test", path: join(folder, "htpasswd") } } } : {}),
    };
    const file = join(folder, "config.yml");
    await writeFile(file, JSON.stringify(config)); // YAML reads JSON
    // Detached only in its group: the terminal's ^C goes to the test, which then ends this.
    const child = spawn("docker-registry", ["serve", file], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env.PATH ?? "", OTEL_TRACES_EXPORTER: "none" },
    });
    const host = await listeningAddress(child);
    const headers: Record<string, string> = o.auth
      ? { authorization: `Basic ${Buffer.from(`${registryUser}:${registryPassword}`).toString("base64")}` }
      : {};
    return new Registry(host, child, temporary, headers);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Pushes under `repository:tag`; returns the reference as a client would write it. */
  async push(
    repository: string,
    tags: string | readonly string[],
    what: BuiltImage | BuiltIndex,
  ): Promise<string> {
    await push(this.url, repository, tags, what, this.#headers);
    return `${this.host}/${repository}:${typeof tags === "string" ? tags : (tags[0] ?? "latest")}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endChild(this.#child);
    await this.#folder?.[Symbol.asyncDispose]();
  }
}

/** SIGTERM, and SIGKILL after 5 s; returns when the process is gone. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), within(5000));
  await gone;
  clearTimeout(timer);
}

async function listeningAddress(child: ChildProcess): Promise<string> {
  const { stderr } = child;
  if (!stderr) throw new Error("docker-registry: no stderr");
  const tail: string[] = [];
  return await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`docker-registry: not listening after 10 s\n${tail.join("\n")}`)),
      within(10_000),
    );
    child.once("error", (cause) =>
      reject(new Error("docker-registry cannot be started (hack/setup)", { cause })),
    );
    child.once("exit", (code) =>
      reject(new Error(`docker-registry exited with ${code}\n${tail.join("\n")}`)),
    );
    createInterface({ input: stderr }).on("line", (line) => {
      tail.push(line);
      if (tail.length > 20) tail.shift();
      const address = /listening on ([0-9.]+:\d+)/.exec(line)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}
