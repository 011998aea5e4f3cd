/** hooks, by kind and by member: when each runs, where and with what. What a failure ends: ../hooks.test.ts. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
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
