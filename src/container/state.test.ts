import { describe, expect, it } from "vitest";
import { type ContainerEvent, type ContainerState, transition } from "./state.ts";

const events: readonly ContainerEvent[] = ["made", "start", "started", "exit", "remove"];
const none = undefined;
const table: Readonly<Record<ContainerState, readonly (ContainerState | undefined)[]>> = {
  //         made       start       started    exit        remove
  creating: ["created", none, none, "exited", "removing"],
  created: [none, "starting", none, "exited", "removing"],
  starting: [none, none, "running", "exited", none],
  running: [none, none, none, "exited", "removing"],
  // The answer to start may be read after the exit of a process that lived for a millisecond.
  exited: [none, none, "exited", "exited", "removing"],
  removing: [none, none, none, "removing", "removing"],
};

describe("the life of a container", () => {
  for (const [from, row] of Object.entries(table) as [ContainerState, (ContainerState | undefined)[]][]) {
    row.forEach((to, i) => {
      const event = events[i] as ContainerEvent;
      if (to === undefined) {
        it(`${from} refuses ${event}`, () =>
          expect(() => transition(from, event)).toThrow(`container is ${from}`));
      } else {
        it(`${from} becomes ${to} on ${event}`, () => expect(transition(from, event)).toBe(to));
      }
    });
  }
});
