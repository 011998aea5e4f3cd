/**
 * One call of a CNI plugin: a program with its configuration on stdin and everything else in the
 * environment. Source: CNI specification 1.1, section 2 (execution protocol).
 * Never: a shell, the daemon's environment, more than a megabyte of answer, a child that outlives the call.
 */
import { RuntimeError, errorKind, errorText } from "../errors/runtime-error.ts";
import { Fields, type JsonObject } from "../oci/document.ts";
import { type RunResult, run, straysEnded } from "../process/spawn.ts";
import { findPlugin, parseObject } from "./conflist.ts";

export type Verb = "ADD" | "DEL" | "CHECK" | "GC" | "STATUS" | "VERSION";

/** "Try again later" and "not available" of the specification, section "Error". */
const laterCodes: ReadonlySet<number> = new Set([11, 50, 51]);
const maxAnswerBytes = 1 << 20;
const stderrTailBytes = 1024;

/** Plugins that call iptables, ip or sysctl search for them: a fixed path, not the daemon's. */
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface PluginCall {
  readonly verb: Verb;
  readonly type: string;
  readonly binDirs: readonly string[];
  /** What stands on its stdin. */
  readonly conf: JsonObject;
  readonly containerId?: string;
  /** "" when the namespace is gone. */
  readonly netns?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** The file of the network list, for errors. */
  readonly file: string;
  readonly timeoutMs: number;
}

/** An error of the plugin itself, with its code. */
export class PluginError extends RuntimeError {
  readonly code: number | undefined;

  constructor(kind: "internal" | "unavailable", message: string, code: number | undefined) {
    super(kind, message);
    this.code = code;
  }
}

function tail(stderr: Buffer): string {
  const cut = stderr.subarray(Math.max(0, stderr.length - stderrTailBytes)).toString("utf8");
  // One line, printable: it goes into a pod's events.
  return cut
    .replaceAll(/[^\P{C}\n]/gu, "")
    .trim()
    .replaceAll(/\s*\n\s*/g, " | ");
}

function failure(call: PluginCall, result: RunResult): PluginError {
  const said: string[] = [];
  let code: number | undefined;
  try {
    const answer = new Fields(parseObject(result.stdout.toString("utf8"), "answer"), "answer");
    code = answer.number("code");
    said.push(answer.text("msg"), answer.text("details"));
  } catch {
    const text = result.stdout.toString("utf8", 0, 200).trim();
    if (text !== "") said.push(`it printed ${JSON.stringify(text)}`);
  }
  const words = said.filter((part) => part !== "").join("; ");
  const how = result.signal === null ? `exit code ${result.code}` : `killed by ${result.signal}`;
  const stderr = tail(result.stderr);
  return new PluginError(
    code !== undefined && laterCodes.has(code) ? "unavailable" : "internal",
    `CNI plugin ${call.type} of ${call.file}: ${call.verb}: ${words === "" ? "no error message" : words} (${how}` +
      `${code === undefined ? "" : `, code ${code}`}${stderr === "" ? "" : `, stderr: ${stderr}`})`,
    code,
  );
}

/**
 * Runs the plugin once. The answer is undefined when it printed nothing (all verbs but ADD and VERSION).
 * @throws PluginError with the plugin's own words when it fails; RuntimeError `failed-precondition` when it
 * is missing, `deadline-exceeded` or `cancelled` when it was given up, `resource-exhausted` when it
 * prints too much. All name the file and the plugin.
 */
export async function callPlugin(call: PluginCall, signal: AbortSignal): Promise<JsonObject | undefined> {
  const where = `CNI plugin ${call.type} of ${call.file}`;
  const path = findPlugin(call.type, call.binDirs);
  if (path === undefined) {
    throw new RuntimeError("failed-precondition", `${where}: no such program in ${call.binDirs.join(", ")}`);
  }
  const env: Record<string, string> = {
    CNI_COMMAND: call.verb,
    CNI_PATH: call.binDirs.join(":"),
    PATH: searchPath,
  };
  if (call.containerId !== undefined) env.CNI_CONTAINERID = call.containerId;
  if (call.netns !== undefined && call.netns !== "") env.CNI_NETNS = call.netns;
  if (call.ifname !== undefined) env.CNI_IFNAME = call.ifname;
  if (call.args !== undefined && call.args !== "") env.CNI_ARGS = call.args;
  let result: RunResult;
  try {
    result = await run(
      path,
      [],
      { env, stdin: JSON.stringify(call.conf), timeoutMs: call.timeoutMs, maxOutputBytes: maxAnswerBytes },
      signal,
    );
  } catch (cause) {
    throw new RuntimeError(errorKind(cause), `${where}: ${call.verb}`, { cause });
  }
  if (result.code !== 0) throw failure(call, result);
  const text = result.stdout.toString("utf8").trim();
  if (text === "") return undefined;
  try {
    return parseObject(text, "its answer");
  } catch (cause) {
    // Only ADD and VERSION have an answer that anybody reads.
    if (call.verb !== "ADD" && call.verb !== "VERSION") return undefined;
    throw new RuntimeError("internal", `${where}: ${call.verb}: ${errorText(cause)}`);
  }
}

/**
 * Waits for plugins that still work for a container although their caller is gone, with all that they have started
 * for it; one that has had its time is killed.
 */
export async function pluginsEnded(
  containerId: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  await straysEnded(`CNI_CONTAINERID=${containerId}`, timeoutMs, signal);
}
