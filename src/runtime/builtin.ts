/**
 * Pods of a kobako-monitor: what the handlers `builtin` and `oci` have in common. With `builtin` the monitor makes
 * containers itself, by the runtime that is linked in.
 * Enters: specs and requests as values. Leaves: the verbs of handler.ts over the monitor protocol.
 * Keeps on disk: `config.json` in a bundle; the monitor keeps its socket and log in the run folder.
 */
import { writeFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { version } from "../config/version.ts";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { OciResources, OciSpec } from "../oci/runtime-spec.ts";
import { run } from "../process/spawn.ts";
import type {
  AttachRequest,
  CollectedExec,
  CreatedContainer,
  CreateRequest,
  ExecRequest,
  InterfaceCounters,
  KillRequest,
  PrepareRequest,
  ProcessStreams,
  ResolvedUser,
  RunRequest,
  HandlerInfo,
  HandlerType,
  RuntimeHandler,
  RuntimeSandbox,
  SandboxEvent,
  SandboxIdentity,
  SandboxSpec,
  SandboxStatus,
} from "./handler.ts";
import { MonitorConnection } from "./monitor/client.ts";
import { Commands } from "./monitor/commands.ts";
import {
  createParams,
  execParams,
  type LogFlush,
  type Method,
  parseCreated,
  parseEvent,
  parseNetStats,
  parseStartAnswer,
  parseStarted,
  parseStatus,
  parseUser,
  prepareParams,
  type StartAnswer,
  startDeadlineMs,
  startRequest,
  type Wire,
} from "./monitor/protocol.ts";
import { openPort } from "./monitor/port.ts";
import { type MonitorProcess, openStreams } from "./monitor/streams.ts";
import type { UserNamespaces } from "./user-namespaces.ts";

/** Longest answer line of a starting monitor. */
const maxAnswerBytes = 16 << 10;

export interface BuiltinHandlerOptions {
  readonly name: string;
  /** Absolute path of kobako-monitor. */
  readonly monitorBinary: string;
  /** Undefined: each line of a log is written at once. */
  readonly logFlush?: LogFlush | undefined;
  readonly userNamespaces: UserNamespaces;
}

type OnEvent = (event: SandboxEvent) => void;

export class BuiltinHandler implements RuntimeHandler {
  readonly name: string;
  readonly type: HandlerType = "builtin";
  readonly program = "";
  readonly #monitorBinary: string;
  readonly #logFlush: LogFlush | undefined;
  readonly #userNamespaces: UserNamespaces;

  constructor(options: BuiltinHandlerOptions) {
    this.name = options.name;
    this.#monitorBinary = options.monitorBinary;
    this.#logFlush = options.logFlush;
    this.#userNamespaces = options.userNamespaces;
  }

  async info(signal: AbortSignal): Promise<HandlerInfo> {
    const why = await this.#userNamespaces.missing(signal);
    return {
      features: { recursiveReadOnlyMounts: true, userNamespaces: why === "" },
      version: `kobako ${version}`,
      ociVersion: "1.3.0",
      missing: why === "" ? [] : [`user namespaces: ${why}`],
    };
  }

  async startSandbox(
    spec: SandboxSpec,
    onEvent: OnEvent,
    signal: AbortSignal,
    onNamespaces?: () => void,
  ): Promise<RuntimeSandbox> {
    const { pid, startTime } = await startMonitor(this.#monitorBinary, spec, signal);
    const identity: SandboxIdentity = { id: spec.id, runDir: spec.runDir, pid, startTime };
    try {
      onNamespaces?.();
      return await connectMonitor(identity, onEvent, this.#logFlush, signal);
    } catch (error) {
      // It may be dead or deaf; then the caller's undo kills what its cgroup holds.
      await abandonMonitor(spec.runDir, AbortSignal.timeout(10_000)).catch(() => undefined);
      throw error;
    }
  }

  connect(identity: SandboxIdentity, onEvent: OnEvent, signal: AbortSignal): Promise<RuntimeSandbox> {
    return connectMonitor(identity, onEvent, this.#logFlush, signal);
  }

  abandon(runDir: string, signal: AbortSignal): Promise<void> {
    return abandonMonitor(runDir, signal);
  }
}

/** Runs the monitor's program until it has set itself up, forked away and closed its output. `more`: of the request. */
export async function startMonitor(
  binary: string,
  spec: SandboxSpec,
  signal: AbortSignal,
  more: Wire = {},
): Promise<StartAnswer> {
  const {
    code,
    signal: killedBy,
    stdout,
  } = await run(
    binary,
    [],
    {
      stdin: JSON.stringify({ ...startRequest(spec), ...more }),
      stderrFile: `${spec.runDir}/monitor.log`,
      timeoutMs: startDeadlineMs,
      maxOutputBytes: maxAnswerBytes,
      staysBehind: true,
    },
    signal,
  );
  const text = stdout.toString("utf8");
  const end = text.indexOf("\n");
  if (end >= 0) return parseStartAnswer(text.slice(0, end));
  throw new RuntimeError(
    "internal",
    `monitor ended without an answer (${killedBy ?? `exit code ${code}`}), see ${spec.runDir}/monitor.log`,
  );
}

/** Tells whatever monitor serves this folder to end with its containers. */
export async function abandonMonitor(runDir: string, signal: AbortSignal): Promise<void> {
  const connection = await MonitorConnection.open(runDir, {}, signal);
  await connection.request("shutdown", {}, signal).finally(() => connection.close());
}

/** A runtime's own container, which has the pod's id, is not the pod's business. */
function withoutSandbox(id: string, status: SandboxStatus): SandboxStatus {
  return { ...status, containers: status.containers.filter((container) => container.id !== id) };
}

/** What config.json is for another runtime than the one that is linked in, and further params of `create`. */
export type AdaptCreate = (request: CreateRequest) => { readonly spec: OciSpec; readonly params: Wire };

/**
 * `onOther` gets the events that are no part of handler.ts's contract. `programMs`: how long each program may take that
 * the monitor runs for a request; 0: it runs none.
 */
export async function connectMonitor(
  identity: SandboxIdentity,
  onEvent: OnEvent,
  logFlush: LogFlush | undefined,
  signal: AbortSignal,
  onOther?: (message: Wire) => void,
  adapt?: AdaptCreate,
  programMs = 0,
): Promise<MonitorSandbox> {
  // Events of the time between the subscription and the caller's getting hold of the sandbox wait here.
  let early: SandboxEvent[] | undefined = [];
  const connection = await MonitorConnection.open(
    identity.runDir,
    {
      onEvent: (message) => {
        const event = parseEvent(message);
        if (!event) return onOther?.(message);
        if (early) early.push(event);
        else onEvent(event);
      },
      first: "subscribe",
      programMs,
    },
    signal,
  );
  try {
    const { hello } = connection;
    if (hello.pid !== identity.pid || hello.startTime !== identity.startTime || hello.id !== identity.id) {
      throw new RuntimeError("not-found", "monitor is dead: another one answers on its socket", {
        subject: {
          expected: `${identity.pid}/${identity.startTime}`,
          found: `${hello.pid}/${hello.startTime}`,
        },
      });
    }
    const initial = withoutSandbox(identity.id, parseStatus(await connection.first));
    setImmediate(() => {
      const waiting = early ?? [];
      early = undefined;
      for (const event of waiting) onEvent(event);
    });
    return new MonitorSandbox(connection, { ...identity, programMs }, initial, logFlush, adapt);
  } catch (error) {
    connection.close();
    throw error;
  }
}

export class MonitorSandbox implements RuntimeSandbox {
  readonly identity: SandboxIdentity;
  readonly initial: SandboxStatus;
  readonly closed: Promise<Error | undefined>;
  readonly #connection: MonitorConnection;
  readonly #process: MonitorProcess;
  readonly #commands: Commands;
  readonly #logFlush: LogFlush | undefined;
  readonly #adapt: AdaptCreate | undefined;

  constructor(
    connection: MonitorConnection,
    identity: SandboxIdentity & MonitorProcess,
    initial: SandboxStatus,
    logFlush: LogFlush | undefined,
    adapt?: AdaptCreate,
  ) {
    this.#adapt = adapt;
    this.#connection = connection;
    this.#process = identity;
    this.#commands = new Commands(identity.runDir, identity);
    this.#logFlush = logFlush;
    const { id, runDir, pid, startTime } = identity;
    this.identity = { id, runDir, pid, startTime };
    this.initial = initial;
    this.closed = connection.closed;
  }

  /** For handlers whose monitor does more than these verbs. */
  request(method: Method, params: Wire, signal: AbortSignal): Promise<Wire> {
    return this.#connection.request(method, params, signal);
  }

  async state(signal: AbortSignal): Promise<SandboxStatus> {
    return withoutSandbox(this.identity.id, parseStatus(await this.#connection.request("state", {}, signal)));
  }

  /** Set where a cgroup does not tell it. */
  usage?: NonNullable<RuntimeSandbox["usage"]>;

  /** What a handler has to do then. */
  whenNetworkReady: ((signal: AbortSignal) => Promise<void>) | undefined;

  async networkReady(signal: AbortSignal): Promise<void> {
    await this.whenNetworkReady?.(signal);
  }

  async prepare(request: PrepareRequest, signal: AbortSignal): Promise<ResolvedUser> {
    return parseUser(await this.#connection.request("prepare", prepareParams(request), signal));
  }

  async create(request: CreateRequest, signal: AbortSignal): Promise<CreatedContainer> {
    const { spec, params } = this.#adapt?.(request) ?? { spec: request.spec, params: {} };
    // The run folder is a small tmpfs: a synchronous write takes microseconds.
    writeFileSync(`${request.bundle}/config.json`, JSON.stringify(spec), { mode: 0o600 });
    return parseCreated(
      await this.#connection.request(
        "create",
        { ...createParams(request, this.#logFlush), ...params },
        signal,
      ),
    );
  }

  async start(containerId: string, signal: AbortSignal): Promise<{ startedAtNs: bigint }> {
    return parseStarted(await this.#connection.request("start", { container: containerId }, signal));
  }

  async kill(request: KillRequest, signal: AbortSignal): Promise<void> {
    const params: Wire = { container: request.containerId, signal: request.signal, all: request.all };
    await this.#connection.request("kill", params, signal);
  }

  run(request: RunRequest, capBytes: number, signal: AbortSignal): Promise<CollectedExec> {
    return this.#commands.run(
      { ...execParams({ ...request, tty: false, stdin: false }), again: true },
      capBytes,
      signal,
    );
  }

  exec(request: ExecRequest, signal: AbortSignal): Promise<ProcessStreams> {
    return openStreams(this.identity.runDir, this.#process, "exec", execParams(request), signal);
  }

  attach(request: AttachRequest, signal: AbortSignal): Promise<ProcessStreams> {
    const params: Wire = { container: request.containerId, stdin: request.stdin };
    return openStreams(this.identity.runDir, this.identity, "attach", params, signal);
  }

  portForward(port: number, signal: AbortSignal): Promise<Duplex> {
    return openPort(this.identity.runDir, this.identity, port, signal);
  }

  async update(containerId: string, resources: OciResources, signal: AbortSignal): Promise<void> {
    await this.#connection.request("update", { container: containerId, resources }, signal);
  }

  async pause(containerId: string, signal: AbortSignal): Promise<void> {
    await this.#connection.request("pause", { container: containerId }, signal);
  }

  async resume(containerId: string, signal: AbortSignal): Promise<void> {
    await this.#connection.request("resume", { container: containerId }, signal);
  }

  async reopenLog(containerId: string, signal: AbortSignal): Promise<void> {
    await this.#connection.request("reopen_log", { container: containerId }, signal);
  }

  async netStats(signal: AbortSignal): Promise<readonly InterfaceCounters[]> {
    return parseNetStats(await this.#connection.request("net_stats", {}, signal));
  }

  async delete(containerId: string, signal: AbortSignal): Promise<void> {
    await this.#connection.request("delete", { container: containerId }, signal);
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    await this.#connection.request("shutdown", {}, signal);
    this.close();
  }

  close(): void {
    this.#commands.close();
    this.#connection.close();
  }
}
