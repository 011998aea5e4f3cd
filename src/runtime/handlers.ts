/**
 * The handlers of a node, made from its configuration: the only place that knows all their types.
 * What is rare is loaded when a handler of its type is configured.
 */
import type { Log } from "../log/log.ts";
import { BuiltinHandler } from "./builtin.ts";
import type { HandlerType, RuntimeHandler } from "./handler.ts";
import type { LogFlush } from "./monitor/protocol.ts";

/** One `[runtimes.NAME]`, as far as it concerns the handler itself. */
export interface HandlerSettings {
  readonly name: string;
  readonly type: HandlerType;
  /** Absolute path of its program; "" for `builtin`. */
  readonly path: string;
  /** Of the program, by name. */
  readonly options: Readonly<Record<string, string>>;
  /** How long one run of the program, or one call to it, may take. */
  readonly timeoutMs: number;
}

/** What all handlers of a node share. */
export interface HandlerTools {
  /** Absolute path of kobako-monitor. */
  readonly monitorBinary: string;
  /** Undefined: each line of a log is written at once. */
  readonly logFlush?: LogFlush | undefined;
  readonly log: Log;
}

type Make = (settings: HandlerSettings, tools: HandlerTools) => Promise<RuntimeHandler>;

const makers: Readonly<Record<HandlerType, Make>> = {
  builtin: async ({ name }, { monitorBinary, logFlush }) =>
    new BuiltinHandler({ name, monitorBinary, logFlush }),
  oci: async ({ name, path, options, timeoutMs }, { monitorBinary, logFlush, log }) => {
    const { OciHandler } = await import("./oci/handler.ts");
    return new OciHandler({ name, path, options, timeoutMs, monitorBinary, logFlush, log });
  },
  "shim-v2": async (settings, tools) =>
    new (await import("./shim-v2/handler.ts")).ShimHandler({ ...settings, ...tools }),
};

/** @throws RuntimeError naming the setting that is wrong. A program that is missing is told when it is used. */
export async function makeHandlers(
  settings: readonly HandlerSettings[],
  tools: HandlerTools,
): Promise<ReadonlyMap<string, RuntimeHandler>> {
  const made = await Promise.all(settings.map((one) => makers[one.type](one, tools)));
  return new Map(made.map((handler) => [handler.name, handler]));
}
