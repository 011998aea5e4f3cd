/**
 * The monitor protocol, version 1: wire shapes (snake_case JSON) to values and back. Pure.
 * What a monitor sends is checked field by field: it may be of another release.
 */
import { RuntimeError, type ErrorKind } from "../../errors/runtime-error.ts";
import { getSystemErrorName } from "node:util";
import type {
  ContainerPhase,
  ContainerStatus,
  CreatedContainer,
  CreateRequest,
  ExecRequest,
  InterfaceCounters,
  PrepareRequest,
  ProcessEnd,
  ResolvedUser,
  SandboxEvent,
  SandboxSpec,
  SandboxStatus,
} from "../handler.ts";
import { parseInterfaces } from "../net-dev.ts";

export const protocolVersion = 1;

/** An object that came as JSON. */
export type Wire = Readonly<Record<string, unknown>>;

export type Method =
  | "subscribe"
  | "state"
  | "prepare"
  | "create"
  | "start"
  | "kill"
  | "exec"
  | "attach"
  | "port_forward"
  | "update"
  | "pause"
  | "resume"
  | "usage"
  | "reopen_log"
  | "net_stats"
  | "delete"
  | "shutdown"
  // Beside a shim:
  | "run"
  | "create_io"
  | "exec_io"
  | "disk"
  | "call"
  | "settle"
  | "created"
  | "started"
  | "exited"
  | "killing";

/** The longest that a call to a shim may take which a monitor makes (native/monitor/shim_call.c). */
export const callLimitMs = 600_000;

/**
 * How long each request may take, in milliseconds. Longest: those that wait for disks (an overlay
 * mount, a program read from a slow card) or for a tree of processes to die.
 */
const deadlineMs: Readonly<Record<Method, number>> = {
  subscribe: 5_000,
  state: 5_000,
  prepare: 60_000,
  create: 60_000,
  start: 60_000,
  kill: 10_000,
  exec: 30_000,
  attach: 10_000,
  port_forward: 20_000,
  update: 10_000,
  pause: 30_000,
  resume: 30_000,
  usage: 30_000,
  reopen_log: 10_000,
  net_stats: 5_000,
  delete: 60_000,
  shutdown: 60_000,
  run: 600_000, // it has a limit of its own
  create_io: 10_000,
  exec_io: 10_000,
  disk: 15_000,
  call: callLimitMs, // it has a limit of its own
  settle: callLimitMs, // of those
  created: 5_000,
  started: 5_000,
  exited: 5_000,
  killing: 5_000,
};

/** For a runner to clean up after a program that was killed (native/monitor/member_oci.c), and to say so. */
const graceMs = 35_000;

/** What a monitor of an external runtime does by running its program. */
const byProgram: ReadonlySet<Method> = new Set([
  "create",
  "start",
  "kill",
  "exec",
  "update",
  "pause",
  "resume",
  "usage",
  "delete",
  "shutdown",
]);

/** How long a request may take to a monitor whose programs may take `programMs` each; 0: it runs none. */
export function limitMs(method: Method, programMs = 0): number {
  if (programMs === 0 || !byProgram.has(method)) return deadlineMs[method];
  return Math.max(deadlineMs[method], programMs + graceMs);
}

/** Time for a monitor to set itself up and answer on its standard output. */
export const startDeadlineMs = 30_000;
/** Time for connecting and the hello. */
export const helloDeadlineMs = 5_000;

export interface Hello {
  readonly protocol: number;
  readonly version: string;
  readonly id: string;
  readonly pid: number;
  readonly startTime: string;
}

export const helloRequest = { hello: { protocol: protocolVersion } } as const;

export function startRequest(spec: SandboxSpec): Wire {
  return {
    protocol: protocolVersion,
    id: spec.id,
    run_dir: spec.runDir,
    socket: "m.sock",
    netns_pin: spec.netnsPin,
    namespaces: spec.namespaces,
    hostname: spec.hostname,
    sysctls: spec.sysctls,
    shm_bytes: spec.shmBytes,
    monitor_cgroup: spec.monitorCgroup,
    pod_cgroup: spec.podCgroup,
    cgroup_driver: spec.cgroupDriver,
    oom_score_adj: spec.oomScoreAdj,
    ...(spec.idMap === undefined ? {} : { id_map: { host: spec.idMap.hostId, length: spec.idMap.length } }),
  };
}

export interface StartAnswer {
  readonly pid: number;
  readonly startTime: string;
}

/** The one line a monitor writes when it is set up. @throws RuntimeError with what it said when it is not. */
export function parseStartAnswer(line: string): StartAnswer {
  const answer = parseObject(line, "start answer");
  if (answer.ok !== true) throw errorOf(object(answer, "error"), "monitor");
  return { pid: integer(answer, "pid"), startTime: text(answer, "start_time") };
}

export function parseHello(message: Wire): Hello {
  if (message.error !== undefined) throw errorOf(object(message, "error"), "hello");
  const hello = object(message, "hello");
  return {
    protocol: integer(hello, "protocol"),
    version: text(hello, "version"),
    id: text(hello, "id"),
    pid: integer(hello, "pid"),
    startTime: text(hello, "start_time"),
  };
}

export function prepareParams(request: PrepareRequest): Wire {
  const { lower, upper, work, options } = request.rootfs;
  return {
    container: request.containerId,
    bundle: request.bundle,
    rootfs: { lower, upper, work, options },
    user: request.user,
    group: request.group,
    supplemental_groups: request.supplementalGroups,
    groups_policy: request.groupsPolicy,
  };
}

export function parseUser(result: Wire): ResolvedUser {
  const gids = list(result, "additional_gids");
  return {
    uid: integer(result, "uid"),
    gid: integer(result, "gid"),
    additionalGids: gids.map((gid) => {
      if (typeof gid !== "number" || !Number.isSafeInteger(gid)) throw malformed("additional_gids");
      return gid;
    }),
    home: text(result, "home"),
    username: text(result, "username"),
  };
}

/** How long, and how much of, a container's output may wait to be written to its log. */
export interface LogFlush {
  readonly intervalMs: number;
  readonly bytes: number;
}

/** `logFlush` undefined: each line is written at once. */
export function createParams(request: CreateRequest, logFlush?: LogFlush): Wire {
  return {
    ...(logFlush === undefined
      ? {}
      : { log_flush: { interval_ms: logFlush.intervalMs, bytes: logFlush.bytes } }),
    container: request.containerId,
    bundle: request.bundle,
    spec: `${request.bundle}/config.json`,
    log_path: request.logPath,
    log_root: request.logRoot,
    tty: request.tty,
    stdin: request.stdin,
    stdin_once: request.stdinOnce,
    exit_file: `${request.bundle}/exit.json`,
    shm: request.shm,
  };
}

export function parseCreated(result: Wire): CreatedContainer {
  return {
    pid: integer(result, "pid"),
    startTime: text(result, "start_time"),
    cgroup: text(result, "cgroup"),
  };
}

/** What bounds the process is left out: the monitor knows its container's, and a probe's request is half as long. */
export function execParams(request: ExecRequest): Wire {
  const { terminal, user, args, env, cwd } = request.process;
  return {
    container: request.containerId,
    process: { terminal, user, args, env, cwd },
    tty: request.tty,
    stdin: request.stdin,
    timeout_ms: request.timeoutMs,
  };
}

export function parseStarted(result: Wire): { startedAtNs: bigint } {
  return { startedAtNs: stamp(result, "started_at_ns") };
}

export function parsePid(result: Wire): number {
  return integer(result, "pid");
}

export function parseStatus(result: Wire): SandboxStatus {
  const pod = object(result, "pod");
  return {
    pausePid: optionalInteger(pod, "pause_pid"),
    containers: list(result, "containers").map((row) => parseContainer(asObject(row, "containers"))),
  };
}

const phases: ReadonlySet<string> = new Set([
  "prepared",
  "created",
  "running",
  "exited",
] satisfies ContainerPhase[]);

function parseContainer(row: Wire): ContainerStatus {
  const phase = text(row, "state");
  if (!phases.has(phase)) throw malformed("state");
  return {
    id: text(row, "id"),
    phase: phase as ContainerPhase,
    pid: optionalInteger(row, "pid"),
    startTime: optionalText(row, "start_time"),
    startedAtNs: optionalStamp(row, "started_at_ns"),
    finishedAtNs: optionalStamp(row, "finished_at_ns"),
    exitCode: optionalInteger(row, "exit_code"),
    signal: optionalInteger(row, "signal") ?? 0,
    oomKilled: row.oom_killed === true,
    cgroup: optionalText(row, "cgroup") ?? "",
  };
}

/** An event as a value; undefined for one of a later release, which is skipped. */
export function parseEvent(message: Wire): SandboxEvent | undefined {
  const params = object(message, "params");
  switch (message.event) {
    case "exit":
      return {
        type: "exit",
        containerId: text(params, "container"),
        exitCode: integer(params, "exit_code"),
        signal: integer(params, "signal"),
        oomKilled: params.oom_killed === true,
        startedAtNs: optionalStamp(params, "started_at_ns") ?? 0n,
        finishedAtNs: stamp(params, "finished_at_ns"),
      };
    case "oom":
      return { type: "oom", containerId: text(params, "container") };
    case "log_fault":
      return {
        type: "log-fault",
        containerId: text(params, "container"),
        droppedBytes: integer(params, "dropped_bytes"),
        message: text(params, "message"),
      };
    case "pause_exit":
      return { type: "pause-exit" };
    default:
      return undefined;
  }
}

export function parseProcessEnd(bytes: Buffer): ProcessEnd {
  const end = parseObject(bytes.toString("utf8"), "status");
  return {
    exitCode: integer(end, "exit_code"),
    signal: integer(end, "signal"),
    timedOut: end.timed_out === true,
  };
}

export function parseNetStats(result: Wire): InterfaceCounters[] {
  return parseInterfaces(text(result, "text"));
}

const errorKinds: ReadonlySet<string> = new Set([
  "invalid-argument",
  "not-found",
  "already-exists",
  "failed-precondition",
  "resource-exhausted",
  "permission-denied",
  "unauthenticated",
  "unimplemented",
  "unavailable",
  "cancelled",
  "deadline-exceeded",
  "aborted",
  "internal",
] satisfies ErrorKind[]);

const maxErrorText = 4096;

/** The error a monitor answered with. Its errno is the subject's `errno`, by name. */
export function errorOf(error: Wire, method: string): RuntimeError {
  const code = typeof error.code === "number" ? error.code : 0;
  const kind = typeof error.kind === "string" && errorKinds.has(error.kind) ? error.kind : kindOfErrno(code);
  const message = typeof error.message === "string" ? error.message.slice(0, maxErrorText) : "no message";
  const subject: Record<string, string> = { method };
  if (Number.isSafeInteger(code) && code > 0) subject.errno = getSystemErrorName(-code);
  return new RuntimeError(kind as ErrorKind, message, { subject });
}

/** For errors without a kind: what is the host's lack of room is told as such. */
function kindOfErrno(code: number): ErrorKind {
  switch (code > 0 ? getSystemErrorName(-code) : "") {
    case "ENOSPC":
    case "ENOMEM":
    case "EMFILE":
    case "ENFILE":
    case "EDQUOT":
    case "EAGAIN":
      return "resource-exhausted";
    default:
      return "internal";
  }
}

export function parseObject(json: string, what: string): Wire {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new RuntimeError("internal", `monitor sent a ${what} that is no JSON`, { cause });
  }
  return asObject(value, what);
}

export function asObject(value: unknown, what: string): Wire {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(what);
  return value as Wire;
}

export function object(from: Wire, key: string): Wire {
  return asObject(from[key], key);
}

export function list(from: Wire, key: string): readonly unknown[] {
  const value = from[key];
  if (!Array.isArray(value)) throw malformed(key);
  return value;
}

export function text(from: Wire, key: string): string {
  const value = from[key];
  if (typeof value !== "string") throw malformed(key);
  return value;
}

export function integer(from: Wire, key: string): number {
  const value = from[key];
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw malformed(key);
  return value;
}

/** 64-bit nanoseconds since 1970 travel as decimal text. */
function stamp(from: Wire, key: string): bigint {
  const value = text(from, key);
  if (!/^\d{1,19}$/.test(value)) throw malformed(key);
  return BigInt(value);
}

function optionalInteger(from: Wire, key: string): number | undefined {
  return from[key] === undefined || from[key] === null ? undefined : integer(from, key);
}

function optionalText(from: Wire, key: string): string | undefined {
  return from[key] === undefined || from[key] === null ? undefined : text(from, key);
}

function optionalStamp(from: Wire, key: string): bigint | undefined {
  return from[key] === undefined || from[key] === null ? undefined : stamp(from, key);
}

function malformed(field: string): RuntimeError {
  return new RuntimeError("internal", `monitor sent a malformed "${field}"`);
}
