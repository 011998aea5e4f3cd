import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import type { Bundle, Spec } from "../integration/oci/bundle.ts";
import { waitFor } from "../support/wait.ts";
import { compare } from "./compare.ts";
import { ours } from "./runtimes.ts";

const sleeper = (s: Spec) => {
  s.process.args = ["/bin/sleep", "1000"];
};

/** A hook of the host (or, with the path as seen there, of the container) that runs a shell line. */
function hook(line: string) {
  return { path: "/bin/sh", args: ["sh", "-c", line] };
}

const beforeTheProgram = ["prestart", "createRuntime", "createContainer", "startContainer"] as const;
const complaint = "echo first line; echo the reason is 42 >&2; exit 9";

describe("hooks", () => {
  for (const kind of beforeTheProgram)
    compare(
      `${kind} fails: the verb that runs it fails and tells what the hook said; the program never runs`,
      {
        change: (s) => {
          s.process.args = ["/bin/touch", "/ran"];
          s.hooks = { [kind]: [hook(complaint)] };
        },
        observe: (b) => {
          const create = b.create();
          const start = create.code === 0 ? b.start() : undefined;
          const said = `${create.stderr}${start?.stderr ?? ""}`;
          const left = create.code === 0 ? null : b.traces().length;
          return {
            failed: create.code !== 0 ? "create" : start?.code !== 0 ? "start" : "none",
            kind: said.includes(kind),
            status: /\b9\b/.test(said),
            told: said.includes("the reason is 42"),
            ran: existsSync(join(b.rootfs, "ran")),
            left,
          };
        },
        ...(kind === "startContainer"
          ? {
              expected: { failed: "start", kind: true, status: true, told: true, ran: false, left: null },
              differs:
                "the specification: an error; the others' start succeeds, and the container ends by itself",
            }
          : {}),
      },
    );

  compare("poststart fails: start", {
    change: (s) => {
      sleeper(s);
      s.hooks = { poststart: [hook(complaint)] };
    },
    observe: async (b, runtime) => {
      b.create();
      const start = b.start();
      // crun's goes on to run one time in four.
      if (runtime === ours)
        await waitFor("its end", () => !existsSync(join(b.state, b.id)) || b.status() === "stopped");
      return { failed: start.code !== 0, told: start.stderr.includes("the reason is 42") };
    },
    expected: { failed: true, told: true },
    differs: "what the hook said is told, as of the other kinds",
  });

  compare(
    "poststop: run at delete, in the order given, with the state stopped; a failure is told and fails nothing",
    {
      change: (s, b) => {
        sleeper(s);
        const state = join(b.folder, "state.json");
        s.hooks = {
          poststop: [
            hook(`cat >${state}; echo one >>${state}.order; exit 3`),
            hook(`echo two >>${state}.order`),
          ],
        };
      },
      observe: (b) => {
        b.create();
        b.start();
        const { code, stderr } = b.oci(["delete", "--force", b.id]);
        const { id, status } = JSON.parse(readFileSync(join(b.folder, "state.json"), "utf8")) as Record<
          string,
          unknown
        >;
        return {
          code,
          told: stderr.includes("poststop"),
          id: id === b.id,
          status: status as string,
          order: readFileSync(join(b.folder, "state.json.order"), "utf8"),
          left: b.traces().length,
        };
      },
      expected: { code: 0, told: true, id: true, status: "stopped", order: "one\ntwo\n", left: 0 },
      differs:
        "the specification: a warning, and the other hooks go on; runc ends with 1 at the first, crun is silent",
    },
  );

  const failures: readonly [string, (s: Spec, b: Bundle) => void][] = [
    ["a program that is not there", (s) => void s.process.args.splice(0, 1, "/bin/nobody")],
    [
      "a createRuntime hook that fails",
      (s) => void Object.assign(s.hooks ?? {}, { createRuntime: [hook("exit 1")] }),
    ],
    ["a mount that can't be made", (s) => void s.mounts.push({ destination: "/x", type: "nofs" })],
  ];
  for (const [title, breaks] of failures)
    compare(`poststop after a failed create: ${title}`, {
      change: (s, b) => {
        s.hooks = { poststop: [hook(`echo run >>${join(b.folder, "poststop")}`)] };
        breaks(s, b);
      },
      observe: (b) => {
        const { code } = b.create();
        const file = join(b.folder, "poststop");
        return {
          failed: code !== 0,
          runs: existsSync(file) ? readFileSync(file, "utf8").split("\n").length - 1 : 0,
        };
      },
    });

  compare("a hook that is not there fails the create by its path", {
    change: (s) => {
      s.hooks = { createRuntime: [{ path: "/not/there" }] };
    },
    observe: (b) => {
      const { code, stderr } = b.create();
      return {
        failed: code !== 0,
        named: stderr.includes("/not/there"),
        cause: /no such file/i.test(stderr),
      };
    },
    expected: { failed: true, named: true, cause: true },
  });

  compare("timeout: the hook is ended, the create fails", {
    change: (s) => {
      s.hooks = { createRuntime: [{ ...hook("exec sleep 4"), timeout: 1 }] };
    },
    observe: (b) => ({ failed: b.create().code !== 0, left: b.traces().length }),
    expected: { failed: true, left: 0 },
  });

  compare("a hook sees the state: members", {
    change: (s, b) => {
      sleeper(s);
      writeFileSync(join(b.folder, "state.json"), "");
      s.annotations = { "org.example.key": "value" };
      s.hooks = { createRuntime: [hook(`cat >${join(b.folder, "state.json")}`)] };
    },
    observe: (b) => {
      b.create();
      const state = JSON.parse(readFileSync(join(b.folder, "state.json"), "utf8")) as Record<string, unknown>;
      return {
        members: Object.keys(state).sort(),
        pid: state.pid === b.pid(),
        status: state.status as string,
        bundle: state.bundle === b.folder,
      };
    },
  });
});
