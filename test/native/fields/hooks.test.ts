/** hooks, by kind and by member: when each runs, where and with what. What a failure ends: ../hooks.test.ts. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, onTestFinished } from "vitest";
import type { Bundle, Spec } from "../../integration/oci/bundle.ts";
import { waitFor } from "../../support/wait.ts";
import { compare } from "../compare.ts";
import { field, refused, sleeping } from "./field.ts";

const kinds = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;
const outside = kinds.filter((kind) => kind !== "startContainer");

/** Each hook writes a line of its own: its kind and what `line` makes. */
function logging(s: Spec, b: Bundle, line: string): void {
  const log = join(b.folder, "log");
  s.hooks = Object.fromEntries(
    outside.map((kind) => [
      kind,
      [
        {
          path: "/bin/sh",
          args: ["sh", "-c", `echo ${kind} ${line} >>${log}`],
          env: ["A=1", "PATH=/bin:/usr/bin"],
        },
      ],
    ]),
  );
  s.hooks.startContainer = [
    { path: "/bin/sh", args: ["sh", "-c", `echo startContainer ${line} >/log`], env: ["A=1", "PATH=/bin"] },
  ];
}

const namespaces = ["net", "ipc", "uts", "pid"] as const;

/** A process in namespaces of its own, which goes with the test. */
function holderOf(b: Bundle): number {
  const fifo = join(b.folder, "holder");
  const sleeper = `exec unshare --net --ipc --uts --pid --fork sh -c 'echo >${fifo}; exec sleep 1000' >/dev/null 2>&1`;
  const script = `mkfifo ${fifo}; (${sleeper}) & read x <${fifo}; cat /proc/$!/task/$!/children`;
  const pid = Number(execFileSync("sh", ["-c", script], { encoding: "utf8" }));
  onTestFinished(() => void process.kill(pid, "SIGKILL"));
  return pid;
}

const log = (b: Bundle) =>
  [readFileSync(join(b.folder, "log"), "utf8"), readFileSync(join(b.rootfs, "log"), "utf8")].flatMap((text) =>
    text.trim().split("\n"),
  );

describe("hooks", () => {
  compare("each kind runs when it is its turn", {
    change: (s, b) => {
      sleeping(s);
      logging(s, b, "");
      // What is in the container's own file is not told apart by order: the others are.
      delete s.hooks?.startContainer;
    },
    observe: async (b) => {
      const seen = () =>
        existsSync(join(b.folder, "log")) ? readFileSync(join(b.folder, "log"), "utf8") : "";
      b.create();
      const created = seen();
      b.start();
      await waitFor("poststart", () => seen().includes("poststart"));
      const started = seen().slice(created.length);
      b.oci(["kill", b.id, "KILL"]);
      await waitFor("stopped", () => b.status() === "stopped");
      b.oci(["delete", b.id]);
      const words = (text: string) => text.trim().split(/\s+/);
      return [words(created), words(started), words(seen()).at(-1) ?? ""];
    },
    expected: [["prestart", "createRuntime", "createContainer"], ["poststart"], "poststop"],
  });

  const first = ["prestart", "createRuntime", "createContainer", "startContainer", "poststop"];
  for (const [asked, statuses] of [
    [first, ["creating", "creating", "creating", "created", "stopped"]],
    [["poststart"], ["running"]],
  ] as const)
    compare(`the state on stdin: id, bundle, annotations, status (${asked.join(", ")})`, {
      change: (s, b) => {
        s.annotations = { "org.example.a": "b" };
        logging(s, b, "$(tr -d '\\n\\t ')");
      },
      observe: (b) => {
        b.run();
        const lines = log(b);
        return asked.map((wanted) => {
          const line = lines.find((l) => l.startsWith(`${wanted} `)) ?? "";
          const state = JSON.parse(line.slice(wanted.length + 1)) as Record<string, unknown>;
          const { id, bundle, annotations = {}, status, pid } = state;
          return {
            id: id === b.id,
            bundle: bundle === b.folder,
            annotation: (annotations as Record<string, string>)["org.example.a"] ?? "",
            status: String(status),
            pid: Number(pid) > 0,
          };
        });
      },
      expected: statuses.map((status) => ({
        id: true,
        bundle: true,
        annotation: "b",
        status,
        pid: status !== "stopped",
      })),
    });

  compare("env: is all that a hook has of environment; args: from its own name on", {
    change: (s, b) => logging(s, b, "$0 $(env | grep -v -E '^(PWD|SHLVL|_|OLDPWD)=' | sort | tr '\\n' ' ')"),
    observe: (b) => {
      b.run();
      return log(b).map((line) => line.trim());
    },
    expected: [...outside, "startContainer"].map(
      (kind) => `${kind} sh A=1 PATH=/bin${kind === "startContainer" ? "" : ":/usr/bin"}`,
    ),
  });

  compare(
    "namespaces: createContainer and startContainer are in the container's, the others in the caller's",
    {
      change: (s, b) => logging(s, b, "$(readlink /proc/self/ns/uts)"),
      observe: (b) => {
        b.run();
        const own = log(b)[0]?.split(" ")[1];
        return log(b).map((line) => {
          const [kind = "", uts = ""] = line.split(" ");
          return `${kind} ${uts === own ? "outside" : "inside"}`;
        });
      },
      expected: [
        "prestart outside",
        "createRuntime outside",
        "createContainer inside",
        "poststart outside",
        "poststop outside",
        "startContainer inside",
      ],
    },
  );

  compare("namespaces that the container joins are not those of prestart and createRuntime", {
    change: (s, b) => {
      const holder = holderOf(b);
      s.linux.namespaces = [
        { type: "mount" },
        ...(["network", "ipc", "uts", "pid"] as const).map((type) => ({
          type,
          path: `/proc/${holder}/ns/${type === "network" ? "net" : type}`,
        })),
      ];
      delete s.hostname;
      logging(s, b, "$(cd /proc/self/ns && readlink net ipc uts pid | tr '\\n' ' ')");
    },
    observe: (b) => {
      b.run();
      const own = namespaces.map((name) => readlinkSync(`/proc/self/ns/${name}`));
      return log(b).map((line) => {
        const [kind = "", ...seen] = line.trim().split(" ");
        return `${kind} ${namespaces.map((_, i) => (seen[i] === own[i] ? "outside" : "inside")).join(" ")}`;
      });
    },
    expected: [
      "prestart outside outside outside outside",
      "createRuntime outside outside outside outside",
      "createContainer inside inside inside inside",
      "poststart outside outside outside outside",
      "poststop outside outside outside outside",
      "startContainer inside inside inside inside",
    ],
  });

  compare("the pid in the state is the one of the hook's PID namespace", {
    change: (s, b) => {
      logging(s, b, '$(tr -d "\\n\\t " | sed "s/.*.pid.:\\([0-9]*\\).*/\\1/")');
      symlinkSync("busybox", join(b.rootfs, "bin/tr"));
      symlinkSync("busybox", join(b.rootfs, "bin/sed"));
    },
    observe: (b) => {
      b.run();
      const pids = Object.fromEntries(log(b).map((line) => line.trim().split(" ")));
      return {
        outside: Number(pids.prestart) > 1 && pids.prestart === pids.createRuntime,
        inside: pids.startContainer,
      };
    },
    expected: { outside: true, inside: "1" },
  });

  for (const [title, hook] of [
    ["path: not absolute", { path: "sh" }],
    ["path: not there", { path: "/nowhere/hook" }],
    ["timeout: 0", { path: "/bin/true", timeout: 0 }],
    ["timeout: negative", { path: "/bin/true", timeout: -1 }],
  ] as const)
    field(title, {
      change: (s) => {
        s.hooks = { createRuntime: [hook] };
      },
      expected: refused,
    });
});
