/** CheckpointContainer as a kubelet asks for it: over a handler that can, with the real CRIU, and over those that can't. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { fileDir } from "../support/file-dir.ts";
import { container, logFile, pod, type RunningPod, runPod, startContainer } from "../support/pods.ts";
import { Dice, scale } from "../support/scale.ts";
import { criuPath, shimHandlers, toolPaths } from "../support/shims.ts";
import { useNode } from "../support/use-node.ts";
import { waitFor } from "../support/wait.ts";

const folder = fileDir("checkpoints");
const gate = { hold: join(folder, "hold"), held: join(folder, "held") };
const node = useNode({ config: shimHandlers(folder, `${gatedCriu()}:${criuPath()}`) });

/** A CRIU that stands still when its log has what `hold` says, while that is there; `held` has its pid and its runc's. */
function gatedCriu(): string {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(
    join(bin, "criu"),
    `#!/bin/sh
PATH=\${PATH#*:}
[ -e ${gate.hold} ] || exec criu "$@"
criu "$@" &
exec 3>&-
until grep -qs "$(cat ${gate.hold})" /proc/$!/cwd/dump.log; do
	[ -e /proc/$!/cwd ] || break
	sleep 0.01
done
if kill -STOP $! 2>/dev/null && [ -e /proc/$!/cwd ]; then
	echo $! $PPID >${gate.held}.new
	mv ${gate.held}.new ${gate.held}
	while [ -e ${gate.hold} ]; do sleep 0.02; done
	kill -CONT $!
fi
wait $!
`,
  );
  chmodSync(join(bin, "criu"), 0o755);
  return bin;
}

/** Begins a checkpoint that stands still at a line of CRIU's log. */
async function held(id: string, location: string, timeout: bigint, line = "Dumping core") {
  writeFileSync(gate.hold, line);
  rmSync(gate.held, { force: true });
  const asked = node().daemon.client.checkpointContainer({ containerId: id, location, timeout });
  asked.catch(() => {});
  await waitFor("CRIU at its work", () => existsSync(gate.held));
  const [criu = 0, runc = 0] = readFileSync(gate.held, "utf8").split(" ").map(Number);
  return { asked, criu, runc, release: () => rmSync(gate.hold) };
}

const takesExecs = async (containerId: string) => {
  const { exitCode } = await node().daemon.client.execSync({ containerId, cmd: ["/bin/true"], timeout: 5n });
  expect(exitCode).toBe(0);
};

const counting = [
  "/bin/sh",
  "-c",
  "echo mine >/etc/mine; rm /bin/ls /bin/cat; i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done",
];

async function counter(
  handler: string,
): Promise<{ id: string; sandbox: RunningPod; goesOn(): Promise<void> }> {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon, pod(daemon), handler);
  const settings = container(image, { metadata: { name: "counter" }, command: counting });
  const id = await startContainer(daemon, sandbox, settings);
  const size = () => {
    const path = logFile(sandbox, "counter");
    return existsSync(path) ? statSync(path).size : 0;
  };
  const goesOn = async () => {
    const had = size();
    await waitFor("more lines", () => size() > had + 200);
  };
  await goesOn();
  return { id, sandbox, goesOn };
}

const commandLine = (pid: number): string => {
  const path = `/proc/${pid}/cmdline`;
  return existsSync(path) ? readFileSync(path, "utf8").replaceAll("\0", " ") : "none";
};

const listed = (archive: string): string[] =>
  execFileSync("tar", ["-tf", archive], { encoding: "utf8" }).trim().split("\n");

const fileOf = (archive: string, name: string): Buffer =>
  execFileSync("tar", ["-xOf", archive, `./${name}`], { maxBuffer: 64 << 20 });

describe("CheckpointContainer", () => {
  it("writes an archive of a container that runs on", async () => {
    const { daemon } = node();
    const { id, goesOn } = await counter("runc-shim");
    const location = join(folder, "one.tar");
    await daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n });
    await goesOn();
    expect(statSync(location).mode & 0o777).toBe(0o600);
    expect(listed(location)).toEqual(
      expect.arrayContaining([
        "./checkpoint/inventory.img",
        "./config.dump",
        "./spec.dump",
        "./rootfs-diff.tar",
        "./deleted.files",
      ]),
    );
    expect(JSON.parse(fileOf(location, "config.dump").toString())).toMatchObject({ id, name: "counter" });
    expect(JSON.parse(fileOf(location, "spec.dump").toString())).toMatchObject({
      process: { args: counting },
    });
    expect(JSON.parse(fileOf(location, "deleted.files").toString()).sort()).toEqual(["bin/cat", "bin/ls"]);
    const changed = execFileSync("tar", ["-t"], { input: fileOf(location, "rootfs-diff.tar") }).toString();
    expect(changed).toContain("./etc/mine\n");
    expect(changed).not.toMatch(/bin\/(ls|cat)$/m);
    expect(readdirSync(join(daemon.root, "checkpoints"))).toEqual([]);
    const again = daemon.client.checkpointContainer({ containerId: id, location, timeout: 60n });
    await expect(again).rejects.toMatchObject({ code: status.ALREADY_EXISTS });
    await goesOn();
    expect(readdirSync(folder).filter((name) => name.startsWith("one.tar"))).toEqual(["one.tar"]);
  });

  it.each([
    ["builtin", status.UNIMPLEMENTED, /no checkpoints/],
    ["runsc-shim", status.UNIMPLEMENTED, /containerd-shim-runsc-v1 makes no checkpoints/],
    ["block", status.UNIMPLEMENTED, /rootfs = "block"/],
  ] as const)("of %s says why not", async (handler, code, details) => {
    const { daemon } = node();
    const { id, goesOn } = await counter(handler);
    const location = join(folder, `${handler}.tar`);
    await expect(
      daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n }),
    ).rejects.toMatchObject({ code, details: expect.stringMatching(details) });
    await goesOn();
    expect(existsSync(location)).toBe(false);
  });

  it.each(["", "relative.tar", "/", "/tmp/../x", "/tmp/"])("to %j is refused", async (location) => {
    const { daemon } = node();
    const { id } = await counter("runc-shim");
    await expect(
      daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n }),
    ).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it("of no container, or one that has ended, is refused, and so is a negative time", async () => {
    const { client } = node().daemon;
    const location = join(folder, "none.tar");
    const none = client.checkpointContainer({ containerId: "0".repeat(64), location, timeout: 0n });
    await expect(none).rejects.toMatchObject({ code: status.NOT_FOUND });
    const { id: containerId } = await counter("runc-shim");
    const negative = client.checkpointContainer({ containerId, location, timeout: -1n });
    await expect(negative).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    await client.stopContainer({ containerId, timeout: 0n });
    const ended = client.checkpointContainer({ containerId, location, timeout: 0n });
    await expect(ended).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(existsSync(location)).toBe(false);
  });

  it("that a killed daemon has begun is made to its end, however long: then the container goes on", async () => {
    const { daemon } = node();
    const { id, goesOn } = await counter("runc-shim");
    const location = join(folder, "held.tar");
    const { runc, release } = await held(id, location, 0n);
    await daemon.restart("SIGKILL");
    await waitFor("its taking up put off", () =>
      daemon.log().includes("taken up when a call of an earlier daemon is done"),
    );
    expect(commandLine(runc)).toMatch(/checkpoint/);
    release();
    await goesOn();
    await takesExecs(id);
    await waitFor("no trace", () => readdirSync(join(daemon.root, "checkpoints")).length === 0);
    expect(existsSync(location)).toBe(false);
    await daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n });
  });

  it("that takes longer than it may leaves a container that goes on, whatever is still at work", async () => {
    const { daemon } = node();
    const { id, goesOn } = await counter("runc-shim");
    const location = join(folder, "long.tar");
    const { asked, runc, release } = await held(id, location, 1n);
    await waitFor("the end of runc", () => commandLine(runc) === "none");
    release();
    await expect(asked).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await goesOn();
    await takesExecs(id);
    expect(readdirSync(join(daemon.root, "checkpoints"))).toEqual([]);
    await daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n });
    await takesExecs(id);
  });

  it("whose CRIU is killed leaves a container that goes on", async () => {
    const { daemon } = node();
    const { id, goesOn } = await counter("runc-shim");
    const location = join(folder, "criu.tar");
    const { asked, criu, release } = await held(id, location, 0n, "Seized task"); // before it changes anything
    process.kill(criu, "SIGKILL");
    release();
    await expect(asked).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
    await goesOn();
    await takesExecs(id);
    await daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n });
  });

  it("of a container that somebody has paused is refused, and leaves it so", async () => {
    const { daemon } = node();
    const { id, goesOn } = await counter("runc-shim");
    const [runc = ""] = toolPaths("runc");
    const byRunc = (verb: string) =>
      execFileSync(runc, ["--root", join(folder, "runc/kobako"), verb, id], { encoding: "utf8" });
    byRunc("pause");
    const location = join(folder, "paused.tar");
    const asked = daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n });
    await expect(asked).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(JSON.parse(byRunc("state"))).toMatchObject({ status: "paused" });
    byRunc("resume");
    await goesOn();
  });

  it("that a killed daemon has begun leaves a container that goes on, and no file", async () => {
    const { daemon } = node();
    const dice = new Dice();
    const { id, goesOn } = await counter("runc-shim");
    const target = join(folder, "killed");
    mkdirSync(target);
    for (let i = 0; i < scale(6, 100); i++) {
      const location = join(target, `${i}.tar`);
      const lost = daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n });
      lost.catch(() => {});
      await delay(dice.between(1, 500)); // any moment of it
      await daemon.restart("SIGKILL");
      await goesOn();
      await waitFor("no trace", () => readdirSync(join(daemon.root, "checkpoints")).length === 0);
      expect(readdirSync(target).filter((name) => !name.endsWith(".tar"))).toEqual([]);
    }
    const location = join(target, "last.tar");
    await daemon.client.checkpointContainer({ containerId: id, location, timeout: 0n });
    expect(readFileSync(location).length).toBeGreaterThan(10_000);
  });
});
