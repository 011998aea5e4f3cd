/**
 * A pod of a real kobako-monitor, driven by raw frames: also by wrong ones. No daemon, no spec builder.
 * All that it makes (folder, cgroup, network namespace pin) has a name of its own and goes with it.
 */
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { killNow } from "../../src/process/kill.ts";
import { encodeMessage, encodeStreamHeader, FrameReader } from "../../src/runtime/monitor/frames.ts";
import { ownName } from "./run.ts";
import { within } from "./slowness.ts";
import { waitFor } from "./wait.ts";

export type Json = Readonly<Record<string, unknown>>;

/** KOBAKO_MONITOR: another build of the same program, such as the one with sanitizers. */
export const monitorBinary =
  process.env.KOBAKO_MONITOR ?? new URL("../../build/bin/kobako-monitor", import.meta.url).pathname;

const patienceMs = within(20_000);

/** Ends in an error when `work` does not settle in time. */
export async function inTime<T>(what: string, work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what}: not within ${patienceMs} ms`)), patienceMs);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export interface StreamFrame {
  readonly stream: number;
  readonly bytes: Buffer;
}

/** A connection to whatever listens, for bytes of all kinds. */
export class RawSocket {
  readonly socket: Socket;
  readonly ended: Promise<void>;

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on("error", () => {}); // `close` follows
    this.ended = new Promise((resolve) => this.socket.once("close", () => resolve()));
    this.socket.resume();
  }
}

/** One connection; frames are kept until they are asked for. */
export class RawConnection {
  readonly socket: Socket;
  readonly ended: Promise<void>;
  readonly messages: Json[] = [];
  readonly frames: StreamFrame[] = [];
  readonly events: Json[] = [];
  #reader: FrameReader = new FrameReader(4, 4 << 20);
  #streaming = false;
  #switchOn: number | undefined;
  /** The stream is a command's of `run`: requests come again after it. */
  #again = false;
  #wake: (() => void)[] = [];
  #over = false;
  #lastId = 0;

  constructor(path: string) {
    this.socket = connect(path);
    this.ended = new Promise((resolve) => {
      this.socket.once("close", () => {
        this.#over = true;
        this.#notify();
        resolve();
      });
    });
    this.socket.on("error", () => {});
    this.socket.on("data", (bytes: Buffer) => {
      let rest = bytes;
      while (rest.length > 0) {
        const used = this.#reader.feed(rest, (tag, frame) => this.#take(tag, Buffer.from(frame)));
        rest = rest.subarray(used);
      }
      this.#notify();
    });
  }

  send(message: unknown): void {
    this.socket.write(encodeMessage(message));
  }

  sendFrame(stream: number, bytes: string | Buffer): void {
    const body = Buffer.from(bytes);
    this.socket.write(Buffer.concat([encodeStreamHeader(stream, body.length), body]));
  }

  async hello(): Promise<Json> {
    this.send({ hello: { protocol: 1 } });
    const answer = await this.#until("hello", () => this.messages.shift());
    return answer.hello as Json;
  }

  /** The answer as it came: `{id, result}` or `{id, error}`. */
  async ask(method: string, params: Json = {}): Promise<Json> {
    this.#lastId += 1;
    const id = this.#lastId;
    if (["exec", "exec_io", "attach", "port_forward"].includes(method)) this.#switchOn = id;
    this.send({ id, method, params });
    return await this.#until(`answer to ${method}`, () => {
      const at = this.messages.findIndex((message) => message.id === id);
      return at < 0 ? undefined : this.messages.splice(at, 1)[0];
    });
  }

  /** The result; throws what the error says. */
  async request(method: string, params: Json = {}): Promise<Json> {
    const { result, error } = await this.ask(method, params);
    if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`);
    return result as Json;
  }

  /** The kind of the error that a request is answered with. */
  async refusal(method: string, params: Json = {}): Promise<string> {
    const { error } = await this.ask(method, params);
    return error === undefined ? "none" : String((error as Json).kind);
  }

  async event(name: string, container?: string): Promise<Json> {
    return await this.#until(`event ${name}`, () => {
      const found = this.events.find(
        ({ event, params }) =>
          event === name && (container === undefined || (params as Json).container === container),
      );
      return found?.params as Json | undefined;
    });
  }

  /** All of a stream connection until its status: what came on each stream, and the status. */
  async collect(): Promise<{ stdout: string; stderr: string; status: Json }> {
    await this.#until("status of a stream", () => this.frames.some(({ stream }) => stream === 3));
    const of = (stream: number) =>
      Buffer.concat(
        this.frames.filter((frame) => frame.stream === stream).map(({ bytes }) => bytes),
      ).toString();
    return { stdout: of(1), stderr: of(2), status: JSON.parse(of(3)) };
  }

  /** An exec with `again`: its answer, what it wrote and how it ended. The connection takes requests afterwards. */
  async run(params: Json): Promise<{ answer: Json; stdout: string; stderr: string; status: Json }> {
    this.#again = true;
    const answer = await this.request("exec", { ...params, again: true });
    const all = await this.collect();
    this.frames.length = 0;
    return { answer, ...all };
  }

  async output(pattern: RegExp): Promise<string> {
    return await this.#until(`output ${pattern}`, () => {
      const all = Buffer.concat(this.frames.map(({ bytes }) => bytes)).toString();
      return pattern.test(all) ? all : undefined;
    });
  }

  async cut(): Promise<void> {
    await inTime("end of the connection", this.ended);
  }

  close(): void {
    this.socket.destroy();
  }

  #take(tag: number, bytes: Buffer): boolean {
    if (this.#streaming) {
      this.frames.push({ stream: tag, bytes });
      if (tag !== 3 || !this.#again) return true;
      this.#streaming = false;
      this.#reader = new FrameReader(4, 4 << 20);
      return false;
    }
    const message = JSON.parse(bytes.toString()) as Json;
    if (message.event !== undefined) this.events.push(message);
    else this.messages.push(message);
    if (message.id !== this.#switchOn || message.result === undefined) return true;
    this.#streaming = true;
    this.#reader = new FrameReader(5, 4 << 20);
    return false;
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  async #until<T>(what: string, check: () => T | undefined | false): Promise<T> {
    const end = Date.now() + patienceMs;
    for (;;) {
      const value = check();
      if (value !== undefined && value !== false) return value;
      if (this.#over) throw new Error(`${what}: the connection has ended`);
      const left = end - Date.now();
      if (left <= 0) throw new Error(`${what}: not within ${patienceMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}

export interface MonitorOptions {
  readonly namespaces?: Json;
  readonly sysctls?: Json;
  readonly shmBytes?: number;
  /** It stands beside a shim. */
  readonly shim?: boolean;
  /** A user namespace: ids from 0 on are those from `host` on. */
  readonly idMap?: { readonly host: number; readonly length: number };
}

export interface ContainerOptions {
  readonly args: readonly string[];
  readonly tty?: boolean;
  readonly stdin?: boolean;
  readonly stdinOnce?: boolean;
  /** Output waits for others before it is written to the log. */
  readonly logFlush?: { readonly intervalMs: number; readonly bytes: number };
  readonly memoryBytes?: number;
  readonly logPath?: string | null;
  readonly logRoot?: string | null;
  readonly pidNamespace?: boolean;
  readonly user?: string;
  /** OCI hooks. */
  readonly hooks?: Json;
  /** Over the process object of the spec. */
  readonly process?: Json;
  readonly seccomp?: Json;
  /** After those of the spec. */
  readonly mounts?: readonly Json[];
}

const everyHierarchy = (path: string): string[] =>
  existsSync("/sys/fs/cgroup/cgroup.controllers")
    ? [`/sys/fs/cgroup${path}`]
    : readdirSync("/sys/fs/cgroup").map((name) => `/sys/fs/cgroup/${name}${path}`);

/** Runs `step` unless the cgroup that it is about has gone; a runner of a monitor may be removing it too. */
export function unlessGone(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!["ENOENT", "ENODEV"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** Kills who is in it, and removes it. @throws EBUSY while somebody is still dying there. */
function removeCgroup(folder: string): void {
  unlessGone(() => {
    for (const pid of readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n").filter(Boolean))
      killNow(Number(pid));
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) removeCgroup(join(folder, entry.name));
    rmdirSync(folder);
  });
}

export class MonitorPod implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "kobako-monitor-"));
  readonly runDir = join(this.folder, "run");
  readonly name = ownName();
  readonly netnsPin = `/run/netns/${this.name}`;
  readonly id = randomBytes(32).toString("hex");
  readonly options: MonitorOptions;
  pid = 0;
  startTime = "";
  pausePid: number | null = null;
  #connections: RawConnection[] = [];
  #count = 0;

  private constructor(options: MonitorOptions) {
    this.options = options;
    mkdirSync(this.runDir, { mode: 0o700 });
    makeLayer(join(this.folder, "layer"));
  }

  /** A pod that could not be started is left for its test to look at. */
  static make(options: MonitorOptions = {}): MonitorPod {
    return new MonitorPod(options);
  }

  static async start(options: MonitorOptions = {}): Promise<MonitorPod> {
    await using undo = new AsyncDisposableStack();
    const pod = undo.use(new MonitorPod(options));
    const answer = await pod.spawn();
    if (answer.ok !== true) throw new Error(`monitor: ${JSON.stringify(answer)}`);
    undo.move();
    return pod;
  }

  /** Starts the program and returns its line. */
  async spawn(change: Json = {}): Promise<Json> {
    const request = {
      protocol: 1,
      id: this.id,
      run_dir: this.runDir,
      socket: "m.sock",
      netns_pin: this.netnsPin,
      namespaces: { network: "pod", ipc: "pod", uts: "pod", pid: "container", ...this.options.namespaces },
      hostname: "web-0",
      sysctls: this.options.sysctls ?? {},
      shm_bytes: this.options.shmBytes ?? 1 << 20,
      monitor_cgroup: `/${this.name}/monitor`,
      pod_cgroup: `/${this.name}/pause`,
      oom_score_adj: 0,
      ...(this.options.shim ? { shim_cgroup: `/${this.name}/shim` } : {}),
      ...(this.options.idMap === undefined ? {} : { id_map: this.options.idMap }),
      ...change,
    };
    return await this.spawnWith(JSON.stringify(request));
  }

  async spawnWith(input: string): Promise<Json> {
    const log = openSync(join(this.runDir, "monitor.log"), "a");
    const { stdin, stdout } = spawn(monitorBinary, [], { stdio: ["pipe", "pipe", log], env: {} });
    closeSync(log);
    if (!stdin || !stdout) throw new Error("no pipes");
    stdin.on("error", () => {}); // a request that is refused early is not read to its end
    stdin.end(input);
    const answer = JSON.parse(await inTime("start of a monitor", text(stdout))) as Json;
    if (answer.ok === true) {
      this.pid = Number(answer.pid);
      this.startTime = String(answer.start_time);
      this.pausePid = answer.pause_pid === null ? null : Number(answer.pause_pid);
    }
    return answer;
  }

  /** A connection before its hello. */
  raw(): RawConnection {
    const connection = new RawConnection(join(this.runDir, "m.sock"));
    this.#connections.push(connection);
    return connection;
  }

  async connect(): Promise<RawConnection> {
    const connection = this.raw();
    await connection.hello();
    return connection;
  }

  /** Connects and subscribes to events. */
  async subscribe(): Promise<RawConnection> {
    const connection = await this.connect();
    await connection.request("subscribe");
    return connection;
  }

  get log(): string {
    return readFileSync(join(this.runDir, "monitor.log"), "utf8");
  }

  cgroupFolders(): string[] {
    return everyHierarchy(`/${this.name}`).filter((folder) => existsSync(folder));
  }

  /** Parameters of prepare for a new container. */
  prepareParams(id: string, user = ""): Json {
    const bundle = join(this.runDir, id);
    const [upper, work] = [join(this.folder, `${id}.upper`), join(this.folder, `${id}.work`)];
    for (const folder of [bundle, upper, work]) mkdirSync(folder, { recursive: true });
    const root = this.options.idMap?.host ?? 0;
    chownSync(upper, root, root);
    return {
      container: id,
      bundle,
      rootfs: { lower: [join(this.folder, "layer")], upper, work, options: ["volatile"] },
      user,
      group: "",
      supplemental_groups: [],
      groups_policy: "merge",
    };
  }

  createParams(id: string, options: ContainerOptions): Json {
    const bundle = join(this.runDir, id);
    writeFileSync(join(bundle, "config.json"), JSON.stringify(this.#spec(id, options)));
    return {
      container: id,
      bundle,
      spec: join(bundle, "config.json"),
      log_path: options.logPath === undefined ? this.logPath(id) : options.logPath,
      log_root: options.logRoot === undefined ? this.folder : options.logRoot,
      tty: options.tty ?? false,
      stdin: options.stdin ?? false,
      stdin_once: options.stdinOnce ?? false,
      ...(options.logFlush === undefined
        ? {}
        : { log_flush: { interval_ms: options.logFlush.intervalMs, bytes: options.logFlush.bytes } }),
      exit_file: join(bundle, "exit.json"),
      shm: true,
    };
  }

  logPath(id: string): string {
    return join(this.folder, `${id}.log`);
  }

  /** The log's contents without what stands before them. */
  logText(id: string): string {
    return readFileSync(this.logPath(id), "utf8").replaceAll(/^\S+ (stdout|stderr) ([FP]) /gm, "");
  }

  exitRecord(id: string): Json {
    return JSON.parse(readFileSync(join(this.runDir, id, "exit.json"), "utf8"));
  }

  /** Prepares and creates. Returns the id. */
  async create(connection: RawConnection, options: ContainerOptions): Promise<string> {
    this.#count += 1;
    const id = `c${this.#count}`;
    await connection.request("prepare", this.prepareParams(id, options.user));
    await connection.request("create", this.createParams(id, options));
    return id;
  }

  async run(connection: RawConnection, options: ContainerOptions): Promise<string> {
    const id = await this.create(connection, options);
    await connection.request("start", { container: id });
    return id;
  }

  async shell(
    connection: RawConnection,
    script: string,
    options: Partial<ContainerOptions> = {},
  ): Promise<string> {
    return await this.run(connection, { args: ["/bin/sh", "-c", script], ...options });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.close();
    if (this.pid > 0 && isAlive(this.pid)) killNow(this.pid);
    for (const folder of everyHierarchy(`/${this.name}`)) {
      const remove = () => {
        removeCgroup(folder);
        return true;
      };
      await waitFor(`removal of ${folder}`, remove, { retryErrors: true });
    }
    if (existsSync(this.netnsPin)) execFileSync(monitorBinary, ["--unpin", this.netnsPin]);
    if (this.options.shim) execFileSync(monitorBinary, ["--unmount", join(this.runDir, "shm")]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #spec(id: string, options: ContainerOptions): Json {
    const memory = options.memoryBytes;
    const { idMap } = this.options;
    const map = idMap && [{ containerID: 0, hostID: idMap.host, size: idMap.length }];
    return {
      ociVersion: "1.2.0",
      root: { path: "rootfs" },
      ...(options.hooks === undefined ? {} : { hooks: options.hooks }),
      process: {
        terminal: options.tty ?? false,
        user: { uid: 0, gid: 0 },
        args: options.args,
        env: ["PATH=/bin"],
        cwd: "/",
        oomScoreAdj: 0,
        ...options.process,
      },
      mounts: [
        { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
        {
          destination: "/dev",
          type: "tmpfs",
          source: "tmpfs",
          options: ["nosuid", "mode=755", "size=65536k"],
        },
        {
          destination: "/dev/pts",
          type: "devpts",
          source: "devpts",
          options: ["newinstance", "ptmxmode=0666"],
        },
        { destination: "/dev/shm", type: "bind", source: "/dev/shm", options: ["rbind", "rw"] },
        ...(options.mounts ?? []),
      ],
      linux: {
        namespaces: [
          { type: "mount" },
          ...(map === undefined ? [] : [{ type: "user" }]),
          ...((options.pidNamespace ?? (this.options.namespaces?.pid ?? "container") === "container")
            ? [{ type: "pid" }]
            : []),
        ],
        ...(map === undefined ? {} : { uidMappings: map, gidMappings: map }),
        cgroupsPath: `/${this.name}/${id}`,
        resources: memory === undefined ? {} : { memory: { limit: memory } },
        ...(options.seccomp === undefined ? {} : { seccomp: options.seccomp }),
      },
    };
  }
}

function makeLayer(layer: string): void {
  for (const name of ["bin", "etc", "proc", "dev", "tmp", "sys"])
    mkdirSync(join(layer, name), { recursive: true });
  writeFileSync(join(layer, "bin/busybox"), readFileSync("/bin/busybox"), { mode: 0o755 });
  const applets = execFileSync("/bin/busybox", ["--list"], { encoding: "utf8" }).split("\n");
  for (const applet of applets) {
    if (applet !== "" && applet !== "busybox") symlinkSync("busybox", join(layer, "bin", applet));
  }
  writeFileSync(
    join(layer, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n",
  );
  writeFileSync(join(layer, "etc/group"), "root:x:0:\nweb:x:1000:\nextra:x:2000:web\n");
}

/** Whether the process runs; one that waits for its parent to look is dead. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}

export function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return children === "" ? [] : children.split(" ").map(Number);
}

export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** A line of /proc/<pid>/smaps_rollup in KiB. 0 for a build with sanitizers, whose memory is its own affair. */
export function memoryKiB(pid: number, line: "Pss" | "Private_Dirty"): number {
  if (process.env.KOBAKO_MONITOR !== undefined) return 0;
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(new RegExp(`^${line}:\\s+(\\d+)`, "m").exec(rollup)?.[1]);
}
