/**
 * The life of a sandbox as a pure table: event in, next state out. An empty cell is an error.
 *
 *   creating -> ready -> notready -> removing
 *
 * `creating` is an intent on disk: a daemon that finds it at start undoes what was made.
 * `removing` likewise: it is finished at the next start.
 */
import { RuntimeError } from "../errors/runtime-error.ts";

export type SandboxState = "creating" | "ready" | "notready" | "removing";

/** `made`: everything stands. `stop`: asked for. `lost`: monitor, pause process or machine went away. */
export type SandboxEvent = "made" | "stop" | "lost" | "remove";

const moves: Readonly<Record<SandboxState, Partial<Record<SandboxEvent, SandboxState>>>> = {
  creating: { made: "ready", lost: "notready", remove: "removing" },
  ready: { stop: "notready", lost: "notready" },
  notready: { stop: "notready", lost: "notready", remove: "removing" },
  removing: { remove: "removing", stop: "removing", lost: "removing" },
};

/** @throws RuntimeError `failed-precondition` when `event` has no place in `from`. */
export function transition(from: SandboxState, event: SandboxEvent): SandboxState {
  const to = moves[from][event];
  if (to === undefined) throw new RuntimeError("failed-precondition", `sandbox is ${from}, cannot ${event}`);
  return to;
}
