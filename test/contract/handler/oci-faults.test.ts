/**
 * External runtimes that fail (B4 to B6): missing, hanging, killed, refused by the kernel at each of their calls,
 * printing garbage, of a wrong version. The pod's monitor answers in time, says why, and leaves nothing.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OciHandler } from "../../../src/runtime/oci/handler.ts";
import { scale } from "../../support/scale.ts";
import { type TempDir, tempDir } from "../../support/temp-dir.ts";
import { cgroups, monitorBinary, TestPod, within } from "./pod.ts";

const crun = "/usr/bin/crun";
let folder: TempDir;
beforeEach(async () => {
  folder = await tempDir("oci-faults");
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

/** A handler of a shell script that answers as crun does but for `lines`; they see the command in $verb. */
function fake(lines: string, timeoutMs = 20_000): OciHandler {
  const path = join(folder.path, "runtime");
  writeFileSync(
    path,
    `#!/bin/sh
for arg; do case $arg in --log=*) log=\${arg#--log=};; esac; done
for arg; do case $arg in create|start|delete|exec|update|features|--version) verb=$arg; break;; esac; done
${lines}
exec ${crun} "$@"
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

/** Children of the pod's monitor: inits, execs, runners and their programs. */
function children(pod: TestPod): string[] {
  const { pid } = pod.sandbox.identity;
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
}

/** What is left of containers that could not be made. */
async function expectNothing(pod: TestPod): Promise<void> {
  await expect.poll(() => children(pod)).toEqual([]);
  const state = join(pod.runDir, "rt");
  const kept = existsSync(state) ? readdirSync(state) : [];
  expect(kept.filter((name) => name !== ".cache")).toEqual([]); // shared by all pods
  const groups = await cgroups.processes(pod.cgroup);
  expect(groups.filter((pid) => pid !== pod.sandbox.identity.pid)).toEqual([]);
}

describe("a runtime program", () => {
  it("that is missing is named when a pod is asked for, and none is made", async () => {
    await expect(TestPod.start(handlerOf(join(folder.path, "nowhere")))).rejects.toMatchObject({
      kind: "failed-precondition",
      message: expect.stringContaining("nowhere is not there"),
    });
  });

  it("that goes away under a pod is named by what needs it; what runs is still stopped and deleted", async () => {
    const path = join(folder.path, "crun");
    copyFileSync(crun, path);
    await using pod = await TestPod.start(handlerOf(path));
    const running = await pod.shell("sleep 100");
    const next = await pod.create({ command: ["/bin/sleep", "100"] });
    rmSync(path);
    const gone = { kind: "failed-precondition", message: expect.stringContaining(path) };
    await expect(pod.sandbox.start(next.id, within())).rejects.toMatchObject(gone);
    await expect(running.exec(["/bin/true"])).rejects.toMatchObject(gone);
    await expect(pod.create()).rejects.toMatchObject(gone);
    for (const id of [running.id, next.id]) await pod.sandbox.delete(id, within());
    await expectNothing(pod);
  });

  it.each(["create", "start", "exec"])("that hangs in %s is killed at its time limit", async (verb) => {
    await using pod = await TestPod.start(
      fake(`[ "$verb" = ${verb} ] && { sleep 1000 & kill -STOP $$; }`, 1000),
    );
    const late = {
      kind: "deadline-exceeded",
      message: expect.stringContaining(`${verb} did not end within 1000 ms`),
    };
    const tries = verb === "create" ? 3 : 1; // retries do not pile up
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
    await using pod = await TestPod.start(
      fake(`[ "$verb" = create ] && { ${crun} "$@"; exec sleep 1000; }`, 1000),
    );
    await expect(pod.create({ command: ["/bin/sleep", "100"] })).rejects.toMatchObject({
      kind: "deadline-exceeded",
    });
    await expectNothing(pod);
  });

  it("that hangs in delete does not keep the container", async () => {
    await using pod = await TestPod.start(fake(`[ "$verb" = delete ] && exec sleep 1000`, 1000));
    const made = await pod.shell("sleep 100");
    await pod.sandbox.delete(made.id, within());
    await expectNothing(pod);
  });

  it.each(["create", "start", "exec", "update"])(
    "that fails once in %s does it the next time",
    async (verb) => {
      const mark = join(folder.path, "failed");
      await using pod = await TestPod.start(
        fake(
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
    ["no pid file", "exit 0"],
    ["a pid file of letters", 'while [ "$1" != --pid-file ]; do shift; done; echo abc >"$2"; exit 0'],
    ["the pid of a stranger", 'while [ "$1" != --pid-file ]; do shift; done; echo 2 >"$2"; exit 0'],
  ])("that gives %s is refused with words", async (_, script) => {
    await using pod = await TestPod.start(fake(`[ "$verb" = create ] && { ${script}; }`, 3000));
    const error = await pod.create().catch((e: unknown) => e);
    expect(error).toMatchObject({
      message: expect.stringMatching(/^\P{Cc}*runtime\P{Cc}*$/u),
    });
    await expectNothing(pod);
  });

  it("of another kind or a later time is refused before a pod is made", async () => {
    const no = (lines: string, message: RegExp) =>
      expect(TestPod.start(fake(lines))).rejects.toMatchObject({
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
    const handler = fake(lines("1.0.2"));
    for (let i = 0; i < 3; i++)
      expect(await handler.info(within())).toMatchObject({
        ociVersion: "1.0.2",
        features: { recursiveReadOnlyMounts: true, userNamespaces: false },
      });
    expect(readFileSync(asked, "utf8")).toBe("\n");
    // A config.json is never of a later version than the program takes.
    await using pod = await TestPod.start(handler);
    const made = await pod.create();
    expect(JSON.parse(readFileSync(join(made.bundle, "config.json"), "utf8"))).toMatchObject({
      ociVersion: "1.0.2",
    });
    fake(lines("1.1.0"));
    expect(await handler.info(within())).toMatchObject({ ociVersion: "1.1.0" });
  });

  it("whose monitor is killed in the middle ends with it", async () => {
    const running = join(folder.path, "pid");
    await using pod = await TestPod.start(
      fake(`[ "$verb" = create ] && { echo $$ >${running}; exec sleep 1000; }`),
    );
    const making = pod.create().catch((error: unknown) => error);
    await expect.poll(() => existsSync(running) && readFileSync(running, "utf8")).toMatch(/\d+\n/);
    const program = Number(readFileSync(running, "utf8"));
    process.kill(pod.sandbox.identity.pid, "SIGKILL");
    expect(await making).toMatchObject({ kind: "unavailable" });
    await expect.poll(() => existsSync(`/proc/${program}`)).toBe(false);
  });
});

describe("a runtime program whose create meets", () => {
  const calls = ["clone", "mount", "pivot_root", "mkdirat", "fchdir", "keyctl"];
  const faults = [
    ...calls.flatMap((call) => [`${call}:error=ENOMEM`, `${call}:error=EINTR`, `${call}:signal=KILL`]),
    "setns:signal=KILL",
  ];
  it.each(faults)("%s at one of its calls makes the container or leaves nothing", async (fault) => {
    const at = join(folder.path, "at");
    // -D: the program is our child, not strace, which stays as long as the container's init.
    const strace = `/usr/bin/strace -D -f -qq -o /dev/null -e trace=${fault.split(":")[0]} -e inject=${fault}`;
    writeFileSync(at, "1");
    await using pod = await TestPod.start(
      fake(`[ "$verb" = create ] && exec ${strace}:when=$(cat ${at}) ${crun} "$@"`),
    );
    let failed = 0;
    for (let n = 1; n <= scale(4, 40); n++) {
      writeFileSync(at, String(n));
      const made = await pod.create({ command: ["/bin/sleep", "100"] }).catch((error: unknown) => error);
      if (made instanceof Error) {
        failed++;
        expect(made.message).toMatch(/crun|runtime/);
      } else {
        for (const { id } of (await pod.sandbox.state(within())).containers)
          await pod.sandbox.delete(id, within());
      }
      await expectNothing(pod);
    }
    expect(failed).toBeGreaterThan(0); // else it met nothing
  });
});
