/**
 * The life of a container as a pure table: event in, next state out. An empty cell is an error.
 *
 *   creating -> created -> starting -> running -> exited -> removing
 *
 * `creating`, `starting` and `removing` are intents on disk: a daemon that finds one at start
 * asks the monitor what happened, and finishes or undoes it.
 */
import { RuntimeError } from "../errors/runtime-error.ts";

export type ContainerState = "creating" | "created" | "starting" | "running" | "exited" | "removing";

/** `made`: init waits. `exit`: the process ended, or is known to be gone. */
export type ContainerEvent = "made" | "start" | "started" | "exit" | "remove";

const moves: Readonly<Record<ContainerState, Partial<Record<ContainerEvent, ContainerState>>>> = {
  creating: { made: "created", exit: "exited", remove: "removing" },
  created: { start: "starting", exit: "exited", remove: "removing" },
  // A process that lives for a millisecond ends before the answer to start is read.
  starting: { started: "running", exit: "exited" },
  running: { exit: "exited", remove: "removing" },
  exited: { started: "exited", exit: "exited", remove: "removing" },
  removing: { exit: "removing", remove: "removing" },
};

/** @throws RuntimeError `failed-precondition` when `event` has no place in `from`. */
export function transition(from: ContainerState, event: ContainerEvent): ContainerState {
  const to = moves[from][event];
  if (to === undefined) {
    const wanted = event === "start" ? ", start needs created" : `, cannot ${event}`;
    throw new RuntimeError("failed-precondition", `container is ${from}${wanted}`);
  }
  return to;
}
