import { describe } from "vitest";
import { waitFor } from "../support/wait.ts";
import { compare, plain } from "./compare.ts";

const sleeper = ["/bin/sleep", "1000"];

interface State {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly owner: string;
  readonly annotations?: Record<string, string>;
}

describe("state", () => {
  for (const status of ["created", "running", "stopped"] as const)
    compare(`of a ${status} container: members and values`, {
      change: (s) => {
        s.process.args = sleeper;
        s.annotations = { "org.example.key": "value" };
      },
      observe: async (b) => {
        b.create();
        if (status !== "created") b.start();
        if (status === "stopped") {
          b.oci(["kill", b.id, "KILL"]);
          await waitFor("stopped", () => b.status() === "stopped");
        }
        const { code, stdout, stderr } = b.oci(["state", b.id]);
        const state = JSON.parse(stdout) as State;
        return {
          code,
          stderr,
          id: plain(state.id, b),
          status: state.status,
          bundle: plain(state.bundle, b),
          rootfs: plain(state.rootfs, b),
          owner: state.owner,
          annotations: state.annotations ?? null,
          hasPid: state.pid > 0,
          createdIsTime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z$/.test(state.created),
        };
      },
    });

  compare("of an unknown container: exit code", {
    observe: (b) => b.oci(["state", "nobody"]).code,
    expected: 1,
  });
});

describe("run", () => {
  compare("gives the exit status of the process", {
    change: (s) => {
      s.process.args = ["/bin/sh", "-c", "exit 7"];
    },
    observe: (b) => b.run().code,
    expected: 7,
  });

  compare("a program that is not there: exit code", {
    change: (s) => {
      s.process.args = ["/bin/nobody"];
    },
    observe: (b) => ({ code: b.run().code, left: b.traces().length }),
    expected: { code: 1, left: 0 },
  });
});
