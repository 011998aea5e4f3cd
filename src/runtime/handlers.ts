/**
 * The handlers of a node, made from its configuration: the only place that knows all their types.
 * What is rare is loaded when a handler of its type is configured.
 */
import { BuiltinHandler } from "./builtin.ts";
import type { HandlerType, RuntimeHandler } from "./handler.ts";
import { RetiredHandler } from "./retired.ts";
import type { HandlerSettings, HandlerTools } from "./settings.ts";

/** As in a configuration that says nothing of it. */
const usualTimeoutMs = 30_000;

type Make = (settings: HandlerSettings, tools: HandlerTools) => Promise<RuntimeHandler>;

const makers: Readonly<Record<HandlerType, Make>> = {
  builtin: async ({ name }, { monitorBinary, logFlush, userNamespaces }) =>
    new BuiltinHandler({ name, monitorBinary, logFlush, userNamespaces }),
  oci: async (settings, tools) =>
    new (await import("./oci/handler.ts")).OciHandler({ ...settings, ...tools }),
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

/** For pods whose handler is none of these. */
export function retiredHandler(tools: HandlerTools): RetiredHandler {
  const none = { name: "", path: "", options: {}, timeoutMs: usualTimeoutMs };
  return new RetiredHandler((type) => makers[type]({ ...none, type }, tools));
}
