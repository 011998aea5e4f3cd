/** What a process gets of its caller besides stdio: descriptors, $LISTEN_FDS, the session keyring. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import type { Bundle, Spec } from "../integration/oci/bundle.ts";
import { program } from "../support/programs.ts";
import { waitFor } from "../support/wait.ts";
import { compare } from "./compare.ts";

/** Descriptors above stdio with what is in them, and what is said of them. */
const showDescriptors =
  'for n in 3 4 5; do test -e /proc/self/fd/$n && eval "read -r x <&$n" && echo "$n $x"; done; echo "$LISTEN_FDS $LISTEN_PID"';
/** Opens 3 to 5 with a line each, then becomes the runtime; $LISTEN_PID is its own. */
const open = (listen: number) =>
  `echo a >a; echo b >b; echo c >c; ${listen > 0 ? `export LISTEN_FDS=${listen} LISTEN_PID=$$;` : ""} exec "$@" 3<a 4<b 5<c`;

function shower(s: Spec): void {
  s.process.args = ["/bin/sh", "-c", showDescriptors];
}

const cases: readonly [string, number, readonly string[]][] = [
  ["nothing is passed on without being asked for", 0, []],
  ["--preserve-fds 2", 0, ["--preserve-fds", "2"]],
  ["$LISTEN_FDS", 2, []],
  ["$LISTEN_FDS and --preserve-fds together: those of $LISTEN_FDS come first", 1, ["--preserve-fds", "2"]],
];

describe("descriptors of run", () => {
  for (const [title, listen, options] of cases)
    compare(title, {
      change: shower,
      observe: (b) => {
        b.write();
        const { code, stdout } = b.through(open(listen), ["run", "-b", b.folder, ...options, b.id]);
        return { code, stdout };
      },
    });

  compare("$LISTEN_FDS for another process ($LISTEN_PID) is nothing to us", {
    change: shower,
    observe: (b) => {
      b.write();
      const line = 'echo a >a; export LISTEN_FDS=1 LISTEN_PID=1; exec "$@" 3<a';
      return b.through(line, ["run", "-b", b.folder, b.id]).stdout;
    },
    expected: " \n",
  });
});

describe("descriptors of create", () => {
  for (const [title, listen, options] of cases)
    compare(title, {
      change: (s) => {
        s.process.args = ["/bin/sh", "-c", `{ ${showDescriptors}; } >/shown 2>&1`];
      },
      observe: async (b) => {
        b.write();
        const { code } = b.through(`exec >out 2>&1; ${open(listen)}`, [
          "create",
          "-b",
          b.folder,
          ...options,
          b.id,
        ]);
        b.start();
        await waitFor("its end", () => b.status() === "stopped");
        return { code, shown: readFileSync(join(b.rootfs, "shown"), "utf8") };
      },
    });
});

describe("descriptors of exec", () => {
  const started = (b: Bundle) => {
    b.create();
    b.start();
  };
  for (const [title, listen, options] of cases)
    compare(title, {
      change: (s) => {
        s.process.args = ["/bin/sleep", "1000"];
      },
      observe: (b) => {
        started(b);
        const args = ["exec", ...options, b.id, "/bin/sh", "-c", showDescriptors];
        const { code, stdout } = b.through(open(listen), args);
        return { code, stdout };
      },
    });
});

describe("the session keyring", () => {
  const keyrings = (b: Bundle, options: readonly string[]) => {
    b.write();
    const { stdout } = b.through('./keyring; exec "$@"', ["run", "-b", b.folder, ...options, b.id]);
    const [caller, inside] = stdout.trim().split("\n").map(Number);
    return { sane: (caller ?? 0) > 0 && (inside ?? 0) > 0, same: caller === inside };
  };
  for (const options of [[], ["--no-new-keyring"]])
    compare(`run ${options.join(" ")}`, {
      change: (s, b) => {
        for (const folder of [b.folder, b.rootfs])
          writeFileSync(join(folder, "keyring"), program("session-keyring"));
        for (const folder of [b.folder, b.rootfs]) chmodSync(join(folder, "keyring"), 0o755);
        s.process.args = ["/keyring"];
      },
      observe: (b) => keyrings(b, options),
      expected: { sane: true, same: options.length > 0 },
    });
});
