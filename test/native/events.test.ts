import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe } from "vitest";
import type { Bundle, Spec } from "../integration/oci/bundle.ts";
import { waitFor } from "../support/wait.ts";
import { type Answer, compare, plain } from "./compare.ts";
import type { Runtime } from "./runtimes.ts";

const sleeper = (s: Spec) => {
  s.process.args = ["/bin/sleep", "1000"];
};

function started(b: Bundle): void {
  b.create();
  b.start();
}

interface Event {
  readonly type: string;
  readonly id: string;
  readonly data?: Record<string, Record<string, unknown>>;
}

/** `events` as long as it runs. */
function watch(b: Bundle, options: readonly string[]) {
  const [file = "", ...before] = b.command;
  const args = [...before, "--root", b.state, "events", ...options, b.id];
  const child = spawn(file, args, { env: {}, stdio: ["ignore", "pipe", "ignore"] });
  const events: Event[] = [];
  createInterface(child.stdout).on("line", (line) => events.push(JSON.parse(line) as Event));
  return { events, over: once(child, "close") as Promise<[number | null]> };
}

/** crun has no such command. */
function asked(question: (b: Bundle) => Promise<Answer>) {
  return async (b: Bundle, runtime: Runtime): Promise<Answer> =>
    runtime.name === "crun" ? "no such command" : await question(b);
}

const keys = (o: unknown) => Object.keys((o ?? {}) as object).sort();

describe("events", () => {
  compare("--stats: members of the statistics", {
    change: sleeper,
    observe: asked(async (b) => {
      started(b);
      const event = JSON.parse(b.oci(["events", "--stats", b.id]).stdout) as Event;
      const { memory, cpu, cpuset, pids } = event.data ?? {};
      return {
        type: event.type,
        id: plain(event.id, b),
        data: keys(event.data),
        memory: keys(memory),
        raw: keys(memory?.raw).length > 10,
        usage: keys(memory?.usage),
        cpu: keys(cpu?.usage),
        cpuset: cpuset === undefined ? null : keys(cpuset),
        pids: (pids?.current as number) >= 1,
      };
    }),
  });

  compare("--interval: statistics again and again, until the container is gone", {
    change: sleeper,
    observe: asked(async (b) => {
      started(b);
      const { events, over } = watch(b, ["--interval", "20ms"]);
      await waitFor("several", () => events.length >= 4);
      const pids = events.map((e) => (e.data?.pids?.current as number) >= 1);
      b.oci(["delete", "--force", b.id]);
      const [code] = await over;
      return { code, types: [...new Set(events.map((e) => e.type))], pids: [...new Set(pids)] };
    }),
    expected: { code: 0, types: ["stats"], pids: [true] },
  });

  compare("a process that is killed for memory is an event oom", {
    change: (s) => {
      s.process.args = [
        "/bin/sh",
        "-c",
        "read x </gate; dd if=/dev/zero of=/dev/null bs=100M count=1; sleep 1000",
      ];
      s.linux.resources = { memory: { limit: 16 << 20, swap: 16 << 20 } };
    },
    observe: asked(async (b) => {
      execFileSync("mkfifo", [join(b.rootfs, "gate")]);
      started(b);
      const { events, over } = watch(b, ["--interval", "20ms"]);
      await waitFor("the watch to begin", () => events.length > 0);
      writeFileSync(join(b.rootfs, "gate"), "go\n");
      await waitFor("the event", () => events.some((e) => e.type === "oom"));
      b.oci(["delete", "--force", b.id]);
      const [code] = await over;
      const oom = events.find((e) => e.type === "oom");
      return { code, members: keys(oom), id: plain(oom?.id ?? "", b) };
    }),
    expected: { code: 0, members: ["id", "type"], id: "ID" },
  });

  const refused: readonly [string, readonly string[]][] = [
    ["--interval 0", ["--interval", "0"]],
    ["--interval that is no time", ["--interval", "often"]],
  ];
  for (const [title, options] of refused)
    compare(`${title} is refused`, {
      change: sleeper,
      observe: asked(async (b) => {
        started(b);
        return b.oci(["events", ...options, b.id]).code !== 0;
      }),
      expected: true,
    });

  compare("of a container that is not running is refused", {
    change: sleeper,
    observe: asked(async (b) => {
      started(b);
      b.oci(["kill", b.id, "KILL"]);
      await waitFor("stopped", () => b.status() === "stopped");
      return [
        b.oci(["events", "--stats", b.id]).code !== 0,
        b.oci(["events", "--stats", "nobody"]).code !== 0,
      ];
    }),
    expected: [true, true],
  });
});
