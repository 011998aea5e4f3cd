/**
 * External runtimes that fail (B4 to B6): missing, hanging, killed, refused by the kernel at each of their calls,
 * printing garbage, of a wrong version. The pod's monitor answers in time, says why, and leaves nothing.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OciHandler } from "../../../src/runtime/oci/handler.ts";
import { isDead } from "../../support/host.ts";
import { Dice, scale } from "../../support/scale.ts";
import { toolPaths } from "../../support/shims.ts";
import { type TempDir, tempDir } from "../../support/temp-dir.ts";
import { cgroups, monitorBinary, TestPod, within } from "./pod.ts";

const [runc = "", runsc = ""] = toolPaths("runc", "runsc");
const crun = "/usr/bin/crun";
interface RealProgram {
  readonly name: string;
  readonly path: string;
  /** A limit that a healthy run of it keeps on a busy machine. */
  readonly limitMs: number;
  /** Its containers are no processes of this host: what it says of pids is not asked for. */
  readonly sandboxed: boolean;
}
const programs: readonly RealProgram[] = [
  { name: "crun", path: crun, limitMs: 1000, sandboxed: false },
  { name: "runc", path: runc, limitMs: 2000, sandboxed: false },
  { name: "runsc", path: runsc, limitMs: 5000, sandboxed: true },
];

let folder: TempDir;
beforeEach(async () => {
  folder = await tempDir("oci-faults");
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

const armed = () => join(folder.path, "armed");

/**
 * A handler of a shell script that answers as the real program does, but for `lines`; they see the command in $verb,
 * the program in $real. `always`: lines that count before a pod is there; the others do from `startPod` on.
 */
function fake(real: string, lines: string, timeoutMs = 20_000, always = false): OciHandler {
  const path = join(folder.path, "runtime");
  writeFileSync(
    path,
    `#!/bin/sh
real=${real}
for arg; do case $arg in --log=*) log=\${arg#--log=};; esac; done
for arg; do case $arg in create|start|wait|delete|exec|update|kill|events|features|--version) verb=$arg; break;; esac; done
if ${always ? "true" : `[ -e ${armed()} ]`}; then :
${lines}
fi
exec $real "$@"
`,
    { mode: 0o755 },
  );
  return handlerOf(path, timeoutMs);
}

function handlerOf(path: string, timeoutMs = 20_000): OciHandler {
  const log = pino({ level: "silent" });
  return new OciHandler({
    name: "fake",
    path,
    options: {},
    timeoutMs,
    monitorBinary,
    cacheFolder: join(folder.path, "cache"),
    log,
  });
}

/** A pod whose own container (gVisor's has one) is there before the faults begin. */
async function startPod(handler: OciHandler): Promise<TestPod> {
  const pod = await TestPod.start(handler);
  baseline.set(pod, await leftovers(pod));
  writeFileSync(armed(), "");
  return pod;
}

interface Leftovers {
  readonly children: readonly string[];
  readonly records: readonly string[];
  readonly processes: readonly number[];
}
const baseline = new WeakMap<TestPod, Leftovers>();
const nothing: Leftovers = { children: [], records: [], processes: [] };

/** Children of the pod's monitor (inits, execs, runners and their programs), the program's records, processes. */
async function leftovers(pod: TestPod): Promise<Leftovers> {
  const { pid } = pod.sandbox.identity;
  const state = join(pod.runDir, "rt");
  return {
    children: readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean),
    // crun's cache is shared by all pods.
    records: existsSync(state) ? readdirSync(state).filter((name) => name !== ".cache") : [],
    processes: (await cgroups.processes(pod.cgroup)).filter((one) => one !== pid),
  };
}

/** Whether it is one of the processes through which gVisor's containers reach their files: one for each. */
function isGofer(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("runsc-gofer\0");
  } catch {
    return false; // it is gone
  }
}

/** What is left of containers that could not be made, or are deleted. */
async function expectNothing(pod: TestPod): Promise<void> {
  const before = baseline.get(pod) ?? nothing;
  const more = async () => {
    const now = await leftovers(pod);
    return {
      children: now.children.filter((one) => !before.children.includes(one)),
      records: now.records.filter((one) => !before.records.includes(one)),
      // A sandbox's own processes (its kernel's) come and go; who serves a container its files does not stay.
      processes:
        before.processes.length === 0
          ? now.processes
          : now.processes.filter((pid) => !before.processes.includes(pid) && isGofer(pid)),
    };
  };
  await expect.poll(more).toEqual(nothing);
}

describe.each(programs)("$name", ({ name, path: real, limitMs, sandboxed }) => {
  it("that is missing is named when a pod is asked for, and none is made", async () => {
    await expect(TestPod.start(handlerOf(join(folder.path, "nowhere")))).rejects.toMatchObject({
      kind: "failed-precondition",
      message: expect.stringContaining("nowhere is not there"),
    });
  });

  it("that goes away under a pod is named by what needs it; what runs is still stopped and deleted", async () => {
    const path = join(folder.path, "program");
    copyFileSync(real, path);
    await using pod = await startPod(handlerOf(path));
    const running = await pod.shell("sleep 100");
    const next = await pod.create({ command: ["/bin/sleep", "100"] });
    rmSync(path);
    const gone = { kind: "failed-precondition", message: expect.stringContaining(path) };
    await expect(pod.sandbox.start(next.id, within())).rejects.toMatchObject(gone);
    await expect(running.exec(["/bin/true"])).rejects.toMatchObject(gone);
    await expect(pod.create()).rejects.toMatchObject(gone);
    // What is in a sandbox is ended by its program, or with the sandbox: it is said to be there as long as it is.
    if (sandboxed) {
      for (const { id } of [running, next])
        await expect(pod.sandbox.delete(id, within())).rejects.toMatchObject({
          kind: "unavailable",
          message: gone.message,
        });
      const still = (await pod.sandbox.state(within())).containers;
      expect(still.find(({ id }) => id === running.id)?.phase).toBe("running");
      copyFileSync(real, path);
    }
    for (const { id } of [running, next]) await pod.sandbox.delete(id, within());
    await expectNothing(pod);
  });

  it("that is gone for good does not keep its pod", async () => {
    const path = join(folder.path, "program");
    copyFileSync(real, path);
    await using pod = await startPod(handlerOf(path));
    await pod.shell("sleep 100");
    rmSync(path);
    await pod.sandbox.shutdown(within(30_000));
    await expect.poll(() => cgroups.processes(pod.cgroup)).toEqual([]);
  });

  it.each(["create", "start", "exec"])("that hangs in %s is killed at its time limit", async (verb) => {
    await using pod = await startPod(
      fake(real, `[ "$verb" = ${verb} ] && { sleep 1000 & kill -STOP $$; }`, limitMs),
    );
    const late = {
      kind: "deadline-exceeded",
      message: expect.stringContaining(`${verb} did not end within ${limitMs} ms`),
    };
    const tries = verb === "create" ? 2 : 1; // retries do not pile up
    for (let i = 0; i < tries; i++) {
      const attempt = async () => {
        const made = await pod.create({ command: ["/bin/sleep", "100"] });
        await pod.sandbox.start(made.id, within());
        await made.exec(["/bin/true"]);
      };
      await expect(attempt()).rejects.toMatchObject(late);
    }
    for (const { id } of (await pod.sandbox.state(within())).containers)
      await pod.sandbox.delete(id, within());
    await expectNothing(pod);
  });

  it("that hangs after it made the container leaves no container", async () => {
    await using pod = await startPod(
      fake(real, `[ "$verb" = create ] && { $real "$@"; exec sleep 1000; }`, limitMs),
    );
    await expect(pod.create({ command: ["/bin/sleep", "100"] })).rejects.toMatchObject({
      kind: "deadline-exceeded",
    });
    await expectNothing(pod);
  });

  // A monitor without such a program is given up after 10 s.
  it("that takes long within its handler's time is waited for", async () => {
    await using pod = await startPod(fake(real, `[ "$verb" = update ] && sleep 11`));
    const made = await pod.shell("sleep 100");
    await pod.sandbox.update(made.id, { memory: { limit: 64 << 20 } }, within(40_000));
    if (!sandboxed)
      expect(cgroups.usage(made.spec.linux.cgroupsPath)?.memoryLimitBytes).toBe(BigInt(64 << 20));
  });

  it("that hangs in delete does not keep the container", async () => {
    await using pod = await startPod(fake(real, `[ "$verb" = delete ] && exec sleep 1000`, limitMs));
    const made = await pod.shell("sleep 100");
    const deleted = pod.sandbox.delete(made.id, within());
    if (sandboxed) {
      await expect(deleted).rejects.toMatchObject({
        kind: "unavailable",
        message: expect.stringContaining(`delete did not end within ${limitMs} ms`),
      });
      rmSync(armed());
      await pod.sandbox.delete(made.id, within());
    } else await deleted;
    await expectNothing(pod);
  });

  it.each(["create", "start", "exec", "update"])(
    "that fails once in %s does it the next time",
    async (verb) => {
      const mark = join(folder.path, "failed");
      await using pod = await startPod(
        fake(
          real,
          `[ "$verb" = ${verb} ] && [ ! -e ${mark} ] && { : >${mark}; echo '{"level":"error","msg":"x: Cannot allocate memory"}' >>$log; exit 1; }`,
        ),
      );
      const use = async () => {
        const known = (await pod.sandbox.state(within())).containers.find(({ phase }) => phase === "running");
        if (known !== undefined) return await pod.sandbox.delete(known.id, within());
        const made = await pod.shell("sleep 100");
        await pod.sandbox.update(made.id, { memory: { limit: 64 << 20 } }, within());
        await made.exec(["/bin/true"]);
        await pod.sandbox.delete(made.id, within());
      };
      await expect(use()).rejects.toMatchObject({
        message: expect.stringContaining("Cannot allocate memory"),
      });
      await use();
      for (const { id } of (await pod.sandbox.state(within())).containers)
        await pod.sandbox.delete(id, within());
      await expectNothing(pod);
    },
  );

  it.each([
    ["bytes that are no text", "head -c 3000 /dev/urandom >>$log; head -c 3000 /dev/urandom; exit 1"],
    ["bytes without end", "cat /dev/zero"],
    ["nothing at all", "exit 3"],
    ["no container", "exit 0"],
    ["a pid file of letters", 'while [ "$1" != --pid-file ]; do shift; done; echo abc >"$2"; exit 0'],
    ["the pid of a stranger", 'while [ "$1" != --pid-file ]; do shift; done; echo 2 >"$2"; exit 0'],
  ])("that gives %s is refused with words", async (_, script) => {
    await using pod = await startPod(fake(real, `[ "$verb" = create ] && { ${script}; }`, limitMs));
    // A sandbox's container shows in no pid file: it is missed when it is started.
    const error = await pod.shell("sleep 100").catch((e: unknown) => e);
    expect(error).toMatchObject({
      message: expect.stringMatching(/^\P{Cc}*runtime\P{Cc}*$/u),
    });
    for (const { id } of (await pod.sandbox.state(within())).containers)
      await pod.sandbox.delete(id, within());
    await expectNothing(pod);
  });

  it("that tells nonsense of what a container uses, or nothing, does no harm", async ({ skip }) => {
    skip(!sandboxed, `of a container of ${name} its cgroup tells it`);
    const lines = join(folder.path, "lines");
    await using pod = await startPod(fake(real, `[ "$verb" = events ] && . ${lines}`, limitMs));
    const made = await pod.shell("sleep 100");
    for (const [script, message] of [
      ["echo hello; exit 0", /are no JSON/],
      [`echo '{"type":"stats","data":{"pids":{"current":-1}}}'; exit 0`, /"current" that is no count/],
      ["head -c 200000 /dev/zero; exit 0", /not as many bytes as expected/],
      ["echo no such container >&2; exit 1", /events: no such container/],
      ["sleep 1000", /events did not end within/],
    ] as const) {
      writeFileSync(lines, script);
      await expect(pod.sandbox.usage?.(made.id, within())).rejects.toThrow(message);
    }
    // Who looks at a pod is not charged to it, and looks at one container at a time.
    const seen = join(folder.path, "seen");
    writeFileSync(
      lines,
      `echo begin >>${seen}; cat /proc/self/cgroup >>${seen}; $real "$@"; echo end >>${seen}; exit`,
    );
    const all = await Promise.all([1, 2, 3].map(() => pod.sandbox.usage?.(made.id, within())));
    expect(all.map((one) => one?.processes)).toEqual([1n, 1n, 1n]);
    const told = readFileSync(seen, "utf8");
    expect(told).not.toContain(pod.spec.podCgroup);
    expect(told.match(/^(begin|end)$/gm)).toEqual(["begin", "end", "begin", "end", "begin", "end"]);
    await pod.sandbox.kill({ containerId: made.id, signal: 9, all: false }, within());
    await made.exited();
    await expect(pod.sandbox.usage?.(made.id, within())).rejects.toMatchObject({
      kind: "failed-precondition",
    });
    await pod.sandbox.delete(made.id, within());
    await expectNothing(pod);
  });

  it("of another kind or a later time is refused before a pod is made", async () => {
    const no = (lines: string, message: RegExp) =>
      expect(TestPod.start(fake(real, lines, 20_000, true))).rejects.toMatchObject({
        kind: "failed-precondition",
        message: expect.stringMatching(message),
      });
    await no('[ "$verb" = --version ] && { echo hello; exit 0; }', /is it an OCI runtime/);
    await no('[ "$verb" = --version ] && { echo boom; exit 1; }', /is it an OCI runtime/);
    await no(
      `[ "$verb" = features ] && { echo '{"ociVersionMin":"2.0.0","ociVersionMax":"2.1.0"}'; exit 0; }`,
      /2\.0\.0 on, which is too new/,
    );
  });

  it("is asked once for what it can, and again when it is another file", async () => {
    const asked = join(folder.path, "asked");
    const lines = (max: string) =>
      `[ "$verb" = features ] && { echo >>${asked}; echo '{"ociVersionMin":"1.0.0","ociVersionMax":"${max}","mountOptions":["rro"]}'; exit 0; }`;
    const handler = fake(real, lines("1.0.2"), 20_000, true);
    for (let i = 0; i < 3; i++)
      expect(await handler.info(within())).toMatchObject({
        ociVersion: "1.0.2",
        features: { recursiveReadOnlyMounts: true, userNamespaces: false },
      });
    expect(readFileSync(asked, "utf8")).toBe("\n");
    // A config.json is never of a later version than the program takes.
    await using pod = await startPod(handler);
    const made = await pod.create();
    expect(JSON.parse(readFileSync(join(made.bundle, "config.json"), "utf8"))).toMatchObject({
      ociVersion: "1.0.2",
    });
    fake(real, lines("1.1.0"), 20_000, true);
    expect(await handler.info(within())).toMatchObject({ ociVersion: "1.1.0" });
  });

  it.each(["create", "start", "exec", "delete"])(
    "whose monitor is killed in the middle of %s ends with it",
    async (verb) => {
      const running = join(folder.path, "pid");
      await using pod = await startPod(
        fake(real, `[ "$verb" = ${verb} ] && { echo $$ >${running}; exec sleep 1000; }`),
      );
      const use = async () => {
        const made = await pod.shell("sleep 100");
        await made.exec(["/bin/true"]);
        await pod.sandbox.delete(made.id, within());
      };
      const outcome = use().catch((error: unknown) => error);
      await expect.poll(() => existsSync(running) && readFileSync(running, "utf8")).toMatch(/\d+\n/);
      const program = Number(readFileSync(running, "utf8"));
      process.kill(pod.sandbox.identity.pid, "SIGKILL");
      expect(await outcome).toMatchObject({ kind: "unavailable" });
      // Beside a sandbox it is in the pod's cgroup, which the daemon ends then.
      if (sandboxed) await cgroups.killAll(pod.cgroup, within());
      await expect.poll(() => isDead(program)).toBe(true);
    },
  );

  it.each(["create", "start", "exec", "delete"])(
    "that is killed at any moment of %s did it or did not",
    async (verb) => {
      const dice = new Dice();
      const [at, kills] = [join(folder.path, "at"), join(folder.path, "kills")];
      await using pod = await startPod(
        fake(
          real,
          `kills=$(cat ${kills})
[ "$verb" = ${verb} ] && [ "$kills" -gt 0 ] && {
  echo $((kills - 1)) >${kills}
  setsid sh -c 'sleep $(cat ${at}); kill -9 '$$ >/dev/null 2>&1 </dev/null &
}`,
        ),
      );
      for (let n = 0; n < scale(3, 60); n++) {
        // What a run takes, and more. One that is not done again is killed once.
        const [ms, count] = [dice.between(0, limitMs / dice.pick([5, 50])), dice.between(1, 3)];
        writeFileSync(at, String(ms / 1000));
        writeFileSync(kills, String(count));
        try {
          const made = await pod.create({ command: ["/bin/sleep", "100"] }).catch(named);
          if (made !== undefined) {
            const started = await pod.sandbox.start(made.id, within()).catch(named);
            if (started !== undefined) await made.exec(["/bin/true"]).catch(named);
          }
          for (const { id } of (await pod.sandbox.state(within())).containers)
            await pod.sandbox.delete(id, within());
          await expectNothing(pod);
        } catch (cause) {
          throw new Error(`seed ${dice.seed}, round ${n}: ${count} killed after ${ms} ms`, { cause });
        }
      }
    },
  );

  it("that is killed at each delete does not keep the container, or says so", async () => {
    await using pod = await startPod(fake(real, `[ "$verb" = delete ] && kill -9 $$`));
    const made = await pod.shell("sleep 100");
    const deleted = pod.sandbox.delete(made.id, AbortSignal.timeout(60_000));
    if (sandboxed) {
      await expect(deleted).rejects.toMatchObject({
        kind: "unavailable",
        message: expect.stringMatching(/delete: it was killed by signal 9/),
      });
      rmSync(armed());
      await pod.sandbox.delete(made.id, within());
    } else await deleted;
    await expectNothing(pod);
  });

  it("that is killed while it ends a container is run again", async ({ skip }) => {
    skip(!sandboxed, `a container of ${name} is ended by the kernel`);
    const kills = join(folder.path, "kills");
    await using pod = await startPod(
      fake(real, `[ "$verb" = kill ] && [ -s ${kills} ] && { : >${kills}; kill -9 $$; }`),
    );
    const made = await pod.shell("sleep 100");
    writeFileSync(kills, "1");
    await pod.sandbox.delete(made.id, within());
    await expectNothing(pod);
  });

  it.for([
    ["start", '$real "$@"'], // done, but for the last bytes of the record
    ["delete", ""],
  ])(
    "that is killed in %s while it writes its record can end the container all the same",
    async ([verb, work], { skip }) => {
      skip(!sandboxed, `${name} writes its records beside, and renames them`);
      const once = join(folder.path, "once");
      await using pod = await startPod(
        fake(
          real,
          `[ "$verb" = ${verb} ] && rm ${once} && {
  ${work}
  for arg; do case $arg in --root=*) root=\${arg#--root=};; *) id=$arg;; esac; done
  for record in "$root/$id"_sandbox:*.state; do truncate --size 1000 "$record"; done
  kill -9 $$
}`,
        ),
      );
      writeFileSync(once, "");
      const made = await pod.create({ command: ["/bin/sleep", "100"] });
      await pod.sandbox.start(made.id, within()).catch(named);
      await pod.sandbox.delete(made.id, within());
      expect(existsSync(once)).toBe(false);
      await expectNothing(pod);
    },
  );

  it("that is killed beside an exec ends the exec", async ({ skip }) => {
    skip(!sandboxed, `nothing of ${name} stays beside an exec`);
    const program = join(folder.path, "exec");
    await using pod = await startPod(fake(real, `[ "$verb" = exec ] && echo $$ >${program}`));
    const made = await pod.shell("sleep 100");
    const processes = async () => (await made.exec(["/bin/ps"])).stdout.toString();
    const ended = made.exec(["/bin/sh", "-c", "sleep 1000; echo $0", "marked"]);
    await expect.poll(() => existsSync(program) && readFileSync(program, "utf8")).toMatch(/\d+\n/);
    const pid = Number(readFileSync(program, "utf8"));
    await expect.poll(processes).toContain("marked");
    process.kill(pid, "SIGKILL");
    expect(await ended).toMatchObject({ end: { exitCode: 137, signal: 9 } });
    await expect.poll(processes).not.toContain("marked");
    await pod.sandbox.delete(made.id, within());
    await expectNothing(pod);
  });

  it("that is killed while it waits for a container's end waits again", async ({ skip }) => {
    skip(!sandboxed, `the end of a container of ${name} is the kernel's to tell`);
    const waiting = join(folder.path, "waiting");
    await using pod = await startPod(fake(real, `[ "$verb" = wait ] && echo "$$ $*" >>${waiting}`));
    const made = await pod.shell("while ! [ -e /tmp/go ]; do sleep 0.01; done; exit 7");
    // The wait for the end of the pod's own container may only just begin.
    const waits = () =>
      (existsSync(waiting) ? readFileSync(waiting, "utf8").trim().split("\n") : [])
        .filter((line) => line.includes(made.id))
        .map((line) => Number.parseInt(line, 10));
    await expect.poll(waits).toHaveLength(1);
    process.kill(waits()[0] ?? 0, "SIGKILL");
    await expect.poll(waits).toHaveLength(2);
    expect((await made.exec(["/bin/touch", "/tmp/go"])).end).toMatchObject({ exitCode: 0 });
    expect(await made.exited()).toMatchObject({ exitCode: 7, signal: 0 });
    await pod.sandbox.delete(made.id, within());
    await expectNothing(pod);
  });
});

/** For `catch`: an error that says which program it was, or what has come of its container. */
function named(error: unknown): undefined {
  expect(error).toMatchObject({ message: expect.stringMatching(/runtime|container/) });
}

describe.each([
  // gVisor is left out: it traces its own processes, and two can't.
  { name: "crun", real: crun, calls: ["clone", "mount", "pivot_root", "mkdirat", "fchdir", "keyctl"] },
  { name: "runc", real: runc, calls: ["clone", "mount", "pivot_root", "mkdirat", "openat2", "keyctl"] },
])("$name, whose create meets", ({ real, calls }) => {
  const faults = [
    ...calls.flatMap((call) => [`${call}:error=ENOMEM`, `${call}:error=EINTR`, `${call}:signal=KILL`]),
    "setns:signal=KILL",
  ];
  it.each(faults)("%s at one of its calls makes the container or leaves nothing", async (fault) => {
    const at = join(folder.path, "at");
    // -D: the program is our child, not strace, which stays as long as the container's init.
    const strace = `/usr/bin/strace -D -f -qq -o /dev/null -e trace=${fault.split(":")[0]} -e inject=${fault}`;
    writeFileSync(at, "1");
    await using pod = await startPod(
      fake(real, `[ "$verb" = create ] && exec ${strace}:when=$(cat ${at}) $real "$@"`),
    );
    let failed = 0;
    for (let n = 1; n <= scale(4, 40); n++) {
      writeFileSync(at, String(n));
      const made = await pod.create({ command: ["/bin/sleep", "100"] }).catch((error: unknown) => error);
      if (made instanceof Error) {
        failed++;
        expect(made.message).toMatch(/runtime/);
      } else {
        for (const { id } of (await pod.sandbox.state(within())).containers)
          await pod.sandbox.delete(id, within());
      }
      await expectNothing(pod);
    }
    expect(failed).toBeGreaterThan(0); // else it met nothing
  });
});
