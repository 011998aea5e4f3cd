import { describe, expect, it } from "vitest";
import { type SandboxEvent, type SandboxState, transition } from "./state.ts";

const events: readonly SandboxEvent[] = ["made", "stop", "lost", "remove"];
const table: Readonly<Record<SandboxState, readonly (SandboxState | undefined)[]>> = {
  //         made     stop        lost        remove
  creating: ["ready", undefined, "notready", "removing"],
  ready: [undefined, "notready", "notready", undefined],
  notready: [undefined, "notready", "notready", "removing"],
  removing: [undefined, "removing", "removing", "removing"],
};

describe("the life of a sandbox", () => {
  for (const [from, row] of Object.entries(table) as [SandboxState, (SandboxState | undefined)[]][]) {
    row.forEach((to, i) => {
      const event = events[i] as SandboxEvent;
      if (to === undefined) {
        it(`${from} refuses ${event}`, () =>
          expect(() => transition(from, event)).toThrow(`sandbox is ${from}, cannot ${event}`));
      } else {
        it(`${from} becomes ${to} on ${event}`, () => expect(transition(from, event)).toBe(to));
      }
    });
  }
});
