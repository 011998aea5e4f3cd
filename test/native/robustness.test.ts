/**
 * What the machine may do to the command line at the worst moment: kill -9 in the middle of each verb, and several
 * callers at once. Ours alone: the others make no such promise.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { Bundle, binary, nobody, rootlessBundle } from "../integration/oci/bundle.ts";
import { isDead } from "../support/host.ts";
import { scale } from "../support/scale.ts";
import { waitFor } from "../support/wait.ts";

const sleeper = ["/bin/sleep", "1000"];
const gone = { code: 0, stderr: "" };

/** System calls that change something, and up to which of a thread's calls they are tried in hack/soak. */
const mutating: Readonly<Record<string, number>> = {
  clone: 3,
  clone3: 3,
  unshare: 3,
  setns: 4,
  mount: 8,
  umount2: 4,
  fsopen: 6,
  fsmount: 6,
  open_tree: 8,
  move_mount: 12,
  mount_setattr: 12,
  pivot_root: 1,
  mkdir: 12,
  mkdirat: 16,
  openat: 40,
  openat2: 20,
  rename: 3,
  renameat: 3,
  write: 24,
  unlink: 4,
  unlinkat: 12,
  rmdir: 16,
  writev: 3,
  execve: 2,
  execveat: 2,
  sendmsg: 6,
  kill: 2,
  pidfd_send_signal: 2,
};

/** Processes that were started with this bundle's state folder. */
function processes(b: Bundle): string[] {
  return readdirSync("/proc").filter((p) => {
    try {
      return /^\d+$/.test(p) && readFileSync(`/proc/${p}/cmdline`, "utf8").includes(b.state);
    } catch {
      return false; // it ended while we looked
    }
  });
}

/**
 * Runs a verb; each of its threads is killed when it makes its n-th call of `name`. Resolves when the verb's own
 * process has ended; what it left may still run. `over` resolves when nothing of it does.
 */
async function killedAt(
  b: Bundle,
  name: string,
  n: number,
  args: readonly string[],
  caller: { uid?: number; gid?: number } = {},
) {
  // strace tampers only with what it also traces. Through cat: what node gives as fd 3 is a socket, which strace can't open by its path.
  const inject = `inject=${name}:signal=KILL:when=${n}`;
  const options = ["-f", "-o", "|cat >&3", "-e", `trace=execve,${name}`, "-e", inject];
  const strace = spawn("/usr/bin/strace", [...options, b.command.at(-1) ?? "", "--root", b.state, ...args], {
    env: {},
    ...caller,
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const over = once(strace, "exit");
  const lines = strace.stdio[3] as Readable;
  let text = "";
  await new Promise<void>((resolve, reject) => {
    const deadline = setTimeout(
      () => reject(new Error(`${args[0]} does not end; ${inject}: ${text}`)),
      20_000,
    );
    const ended = () => {
      clearTimeout(deadline);
      resolve();
    };
    lines.on("data", (piece: Buffer) => {
      text += piece.toString();
      const pid = /^(\d+) /.exec(text)?.[1];
      if (pid && new RegExp(`^${pid} +\\+\\+\\+ (exited|killed)`, "m").test(text)) ended();
    });
  });
  return { over, killed: () => text.includes("+++ killed by SIGKILL") };
}

/** A container as the verb wants to find it, and the verb's arguments. */
const verbs: Readonly<Record<string, { before: (b: Bundle) => void; args: (b: Bundle) => string[] }>> = {
  create: { before: (b) => b.write(), args: (b) => ["create", "-b", b.folder, b.id] },
  start: { before: (b) => void b.create(), args: (b) => ["start", b.id] },
  exec: {
    before: (b) => {
      b.create();
      b.start();
    },
    args: (b) => ["exec", b.id, "/bin/true"],
  },
  delete: {
    before: (b) => {
      b.create();
      b.start();
    },
    args: (b) => ["delete", "--force", b.id],
  },
};

describe("kill -9", () => {
  for (const [verb, { before, args }] of Object.entries(verbs))
    it(
      `in the middle of ${verb}: delete -f and a new create of the same id succeed, and nothing is left`,
      async () => {
        await using b = new Bundle((s) => {
          s.process.args = sleeper;
        });
        let kills = 0;
        for (const [name, most] of Object.entries(mutating))
          for (let n = 1; n <= scale(1, most); n++) {
            before(b);
            const { over, killed } = await killedAt(b, name, n, args(b));
            if (killed()) kills++;
            const at = `${name} ${n}`;
            expect({ at, ...b.oci(["delete", "--force", b.id]) }).toMatchObject({ at, ...gone });
            await over;
            expect([at, ...b.traces(), ...processes(b)]).toEqual([at]);
            expect({ at, ...b.create() }).toMatchObject({ at, ...gone });
            expect({ at, ...b.oci(["delete", "--force", b.id]) }).toMatchObject({ at, ...gone });
          }
        expect(kills).toBeGreaterThan(2); // strace did as it was told
      },
      scale(120_000, 3_600_000),
    );
});

describe("kill -9 of a caller without rights, in the middle of create", () => {
  it("what would have become a container ends by itself: no cgroup tells which it is", async () => {
    await using b = rootlessBundle((s) => {
      s.process.args = sleeper;
    });
    b.write();
    let kills = 0;
    // Where its own process writes: the folder, the configuration, the socket, the word to the runner, the state.
    for (const [name, most] of Object.entries({
      mkdirat: 3,
      renameat: 3,
      rename: 3,
      socketpair: 2,
      sendto: 2,
      wait4: 2,
    }))
      for (let n = 1; n <= most; n++) {
        const { over, killed } = await killedAt(b, name, n, ["create", "-b", b.folder, b.id], {
          uid: nobody,
          gid: nobody,
        });
        if (killed()) kills++;
        const at = `${name} ${n}`;
        expect({ at, code: b.oci(["delete", "--force", b.id]).code }).toEqual({ at, code: 0 });
        await waitFor(`the end of what was left, ${at}`, () => processes(b).length === 0);
        await over;
        expect(b.traces()).toEqual([]);
      }
    expect(kills).toBeGreaterThan(4);
  });
});

/** Where cgroups of this machine are: a folder per hierarchy of v1 and for v2, or v2's alone. */
const hierarchies = ["", ...readdirSync("/sys/fs/cgroup")]
  .map((name) => join("/sys/fs/cgroup", name))
  .filter((path) => existsSync(join(path, "cgroup.procs")) && !existsSync(join(path, "cgroup.type")));

/** A process that is no container's, in this cgroup folder, which goes with it; `freeze` stops and thaws both. */
class Stranger implements AsyncDisposable {
  readonly #child = spawn("/bin/sleep", ["1000"], { stdio: "ignore" });
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    // A new cpuset of v1 takes nobody in before it has these.
    for (const file of ["cpuset.cpus", "cpuset.mems"].map((name) => join(folder, name)))
      if (existsSync(file)) writeFileSync(file, readFileSync(join(folder, "..", basename(file))));
    writeFileSync(join(folder, "cgroup.procs"), `${this.#child.pid}`);
  }

  get freezable(): boolean {
    return ["freezer.state", "cgroup.freeze"].some((file) => existsSync(join(this.folder, file)));
  }

  freeze(frozen: boolean): void {
    if (existsSync(join(this.folder, "freezer.state")))
      writeFileSync(join(this.folder, "freezer.state"), frozen ? "FROZEN" : "THAWED");
    else writeFileSync(join(this.folder, "cgroup.freeze"), frozen ? "1" : "0");
  }

  /** Not even told to end: a SIGKILL to who is frozen waits. */
  alive(): boolean {
    const pending = /^ShdPnd:\t(\w+)$/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))?.[1];
    return !isDead(this.#child.pid ?? 0) && pending === "0".repeat(16);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.freezable) this.freeze(false);
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
    await waitFor("the stranger's cgroup to be empty", () => {
      try {
        rmdirSync(this.folder);
        return true;
      } catch {
        return !existsSync(this.folder);
      }
    });
  }
}

describe("a cgroup that somebody is in already", () => {
  const busy = (what: RegExp) => ({ code: 1, stderr: expect.stringMatching(what) });

  for (const hierarchy of hierarchies)
    it(`in ${hierarchy}: create is refused, frozen or not, and who is in it lives`, async () => {
      await using b = new Bundle((s) => {
        s.process.args = ["/nope"];
      });
      await using stranger = new Stranger(join(hierarchy, b.cgroup));
      expect(b.create()).toMatchObject(busy(/cgroup .* is not empty/));
      expect([stranger.alive(), existsSync(join(b.state, b.id))]).toEqual([true, false]);
      if (!stranger.freezable) return;
      stranger.freeze(true);
      expect(b.create()).toMatchObject(busy(/cgroup .* is frozen/));
      expect(stranger.alive()).toBe(true);
    });

  it("as what a create that was killed early has left: delete -f lets who is in it live", async () => {
    await using b = new Bundle();
    b.write();
    await using stranger = new Stranger(join(hierarchies.at(-1) ?? "", b.cgroup));
    mkdirSync(join(b.state, b.id), { recursive: true });
    copyFileSync(join(b.folder, "config.json"), join(b.state, b.id, "config.json"));
    expect(b.oci(["delete", "--force", b.id])).toMatchObject(gone);
    expect([stranger.alive(), existsSync(join(b.state, b.id))]).toEqual([true, false]);
  });

  it("an empty one is taken over, one that is frozen is not", async () => {
    await using b = new Bundle((s) => {
      s.process.args = sleeper;
    });
    await using outer = new Stranger(join(hierarchies.at(-1) ?? "", `${b.cgroup}-outer`));
    b.spec.linux.cgroupsPath += "-outer/inner";
    mkdirSync(join(outer.folder, "inner"));
    if (outer.freezable) {
      outer.freeze(true);
      expect(b.create()).toMatchObject(busy(/cgroup .* is frozen/));
      outer.freeze(false);
      expect(existsSync(join(outer.folder, "inner"))).toBe(true);
    }
    expect(b.create()).toMatchObject(gone);
    expect(b.oci(["delete", "--force", b.id])).toMatchObject(gone);
    for (const h of hierarchies)
      if (h !== hierarchies.at(-1)) rmdirSync(join(h, `${b.cgroup.slice(0, -"/inner".length)}`));
  });
});

const soakMs = scale(60_000, 3_600_000);

/** A verb beside others. Its output goes to a file: a pipe would be held open by the container. */
async function beside(b: Bundle, args: readonly string[], root = b.state) {
  const file = join(b.folder, `output-${++outputs}`);
  const output = openSync(file, "w");
  const child = spawn(binary, ["--root", root, ...args], {
    env: {},
    stdio: ["ignore", output, output],
    timeout: 60_000,
  });
  closeSync(output);
  const [code] = (await once(child, "exit")) as [number | null];
  const said = readFileSync(file, "utf8");
  unlinkSync(file);
  return { verb: args[0], code, said };
}
let outputs = 0;

describe("several at once", { timeout: soakMs }, () => {
  it("creates of one id: one wins, the others fail cleanly, and it is whole", async () => {
    await using b = new Bundle((s) => {
      s.process.args = sleeper;
    });
    b.write();
    for (let round = 0; round < scale(5, 500); round++) {
      const create = ["create", "-b", b.folder, b.id];
      const ended = await Promise.all(Array.from({ length: 4 }, () => beside(b, create)));
      expect(ended.map(({ code }) => code).toSorted(), JSON.stringify(ended)).toEqual([0, 1, 1, 1]);
      expect(b.start()).toMatchObject(gone);
      expect(b.status()).toBe("running");
      expect(b.oci(["delete", "--force", b.id])).toMatchObject(gone);
      expect([...b.traces(), ...processes(b)]).toEqual([]);
    }
  });

  it("create, kill, exec, state and delete -f of one id end, none by a signal, and leave nothing", async () => {
    await using b = new Bundle((s) => {
      s.process.args = sleeper;
    });
    for (let round = 0; round < scale(5, 500); round++) {
      b.create();
      b.start();
      const ended = await Promise.all(
        [
          ["exec", b.id, "/bin/true"],
          ["kill", b.id, "KILL"],
          ["state", b.id],
          ["delete", "--force", b.id],
          ["create", "-b", b.folder, b.id],
          ["delete", "--force", b.id],
        ].map((args) => beside(b, args)),
      );
      const killed = ended.filter(({ code }) => code === null);
      const undeleted = ended.filter(({ verb, code }) => verb === "delete" && code !== 0);
      expect({ round, killed, undeleted }).toEqual({ round, killed: [], undeleted: [] });
      expect(b.oci(["delete", "--force", b.id])).toMatchObject(gone);
      expect([...b.traces(), ...processes(b)]).toEqual([]);
    }
  });

  it("eight ids in one root, each through all verbs: none disturbs another", async () => {
    await using undo = new AsyncDisposableStack();
    const bundles = Array.from({ length: 8 }, () =>
      undo.use(
        new Bundle((s) => {
          s.process.args = sleeper;
        }),
      ),
    );
    const root = bundles[0]?.state ?? "";
    const steps = (b: Bundle): readonly [number, readonly string[]][] => [
      [0, ["create", "-b", b.folder, b.id]],
      [0, ["state", b.id]],
      [0, ["start", b.id]],
      [5, ["exec", b.id, "/bin/sh", "-c", "exit 5"]],
      [0, ["pause", b.id]],
      [0, ["resume", b.id]],
      [0, ["update", "--pids-limit", "50", b.id]],
      [0, ["kill", b.id, "KILL"]],
      [0, ["delete", "--force", b.id]],
    ];
    for (const b of bundles) {
      undo.defer(async () => void (await beside(b, ["delete", "--force", b.id], root)));
      b.write();
    }
    for (let round = 0; round < scale(2, 200); round++) {
      const wrong = await Promise.all(
        bundles.map(async (b) => {
          for (const [want, args] of steps(b)) {
            const ended = await beside(b, args, root);
            if (ended.code !== want) return [ended];
          }
          return [];
        }),
      );
      const left = bundles.flatMap((b) => [...b.traces(), ...processes(b)]);
      expect({ round, wrong: wrong.flat(), left, ids: readdirSync(root) }).toEqual({
        round,
        wrong: [],
        left: [],
        ids: [],
      });
    }
  });

  it("delete goes by what stands there when its turn comes, not by what it saw before it waited", async () => {
    const make = () =>
      new Bundle((s) => {
        s.process.args = sleeper;
      });
    await using stopped = make();
    await using running = make();
    for (const b of [stopped, running]) {
      b.create();
      b.start();
    }
    stopped.oci(["kill", stopped.id, "KILL"]);
    await waitFor("stopped", () => stopped.status() === "stopped");
    const folder = join(stopped.state, stopped.id);
    const before = readFileSync(join(folder, "state.json"));
    // Another command is at work on it: as a delete and a create would leave it, it then runs again.
    const holder = spawn("/usr/bin/flock", [folder, "/bin/cat"], { stdio: ["pipe", "ignore", "ignore"] });
    const over = once(holder, "exit");
    await waitFor(
      "the lock to be held",
      () => spawnSync("/usr/bin/flock", ["-n", folder, "true"]).status === 1,
    );
    const deleted = beside(stopped, ["delete", stopped.id]);
    const others = () => processes(stopped).filter((pid) => pid !== `${holder.pid}`);
    await waitFor("delete to wait", () => readlinks(others()).includes(folder));
    copyFileSync(join(running.state, running.id, "state.json"), join(folder, "state.json"));
    holder.stdin.end();
    await over;
    expect(await deleted).toMatchObject({ code: 1, said: expect.stringContaining("is running") });
    expect(running.status()).toBe("running");
    writeFileSync(join(folder, "state.json"), before);
    expect(stopped.oci(["delete", stopped.id])).toMatchObject(gone);
  });
});

/** What these processes have open. */
function readlinks(pids: readonly string[]): string[] {
  return pids.flatMap((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    } catch {
      return []; // it ended while we looked
    }
  });
}
