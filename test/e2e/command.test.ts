/** The kobako command as a user has it: the built launcher and bundle against a real daemon. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { kobako, testDaemon } from "../support/daemon.ts";
import { type TestNode, testNode } from "../support/node.ts";
import type { Snapshot } from "../support/oracle.ts";
import { freePort } from "../support/port.ts";
import { within } from "../support/slowness.ts";
import { tempDir } from "../support/temp-dir.ts";
import { waitFor } from "../support/wait.ts";

let made: TestNode | undefined;
let clean: Snapshot;
const node = (): TestNode => {
  if (!made) throw new Error("the node is made before the first test");
  return made;
};
beforeAll(async () => {
  made = await testNode();
  // The cgroup that holds pods without a parent of their own stays once it is there.
  await ok("run", "--name", "first", node().image, "true");
  await ok("rm", "-f", "first");
  clean = node().daemon.snapshot();
}, within(120_000));
afterEach(async () => {
  await node().daemon.expectClean(clean);
}, within(60_000));
afterAll(async () => {
  await made?.[Symbol.asyncDispose]();
}, within(60_000));
const execute = promisify(execFile);

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `kobako ARGS` against the test's daemon. */
async function run(...args: string[]): Promise<Result> {
  const env = { ...process.env, KOBAKO_ADDRESS: `unix://${node().daemon.socket}` };
  try {
    return { code: 0, ...(await execute(kobako, args, { env, timeout: within(60_000) })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect(code, `kobako ${args.join(" ")}: ${stderr}`).toBe(0);
  return stdout;
}

/** The folder of pods that `kobako run` made: empty when they are all gone. */
const podFolders = () => readdir(join(node().daemon.root, "run-pods")).catch(() => []);

describe("kobako run", () => {
  it("runs an image; pods, ps, exec, logs, stop and rm find it by name", async () => {
    const { image } = node();
    const script = "trap 'exit 0' TERM; echo started; echo trouble >&2; while :; do sleep 0.1; done";
    const out = await ok("run", "--name", "one", "-e", "A=b=c", image, "sh", "-c", script);
    const [, pod = "", container = ""] =
      /^pod one ([0-9a-f]{64})\ncontainer test ([0-9a-f]{64})\n$/.exec(out) ?? [];
    expect(pod).not.toBe("");
    expect(await ok("pods")).toMatch(new RegExp(`^${pod.slice(0, 13)} .* ready +one +default`, "m"));
    expect(await ok("ps")).toMatch(new RegExp(`^${container.slice(0, 13)} .* running +test .* one$`, "m"));
    expect((await ok("ps", "-q", "--pod", "one")).trim()).toBe(container);
    expect(JSON.parse(await ok("ps", "-o", "json"))).toMatchObject({
      containers: [{ id: container, state: "CONTAINER_RUNNING" }],
    });
    expect(await ok("exec", "one/test", "sh", "-c", "echo $A")).toBe("b=c\n");
    expect(await ok("exec", "one", "sh", "-c", "echo $A")).toBe("b=c\n");
    expect(await run("exec", container.slice(0, 10), "sh", "-c", "echo no >&2; exit 7")).toMatchObject({
      code: 7,
      stderr: "no\n",
    });
    expect((await run("exec", "test", "no-such-program")).code).toBe(125);
    const logs = await waitFor("the log", async () => {
      const got = await run("logs", "test");
      return got.stderr !== "" && got;
    });
    expect(logs).toMatchObject({ stdout: "started\n", stderr: "trouble\n" });
    expect(await run("rm", "one")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("kobako stop it first, or rm --force"),
    });
    expect((await ok("stop", "one")).trim()).toBe(pod);
    expect(await ok("pods")).toMatch(/ notready +one/);
    expect((await ok("rm", "one")).trim()).toBe(pod);
    expect(await ok("pods", "-q")).toBe("");
    expect(await podFolders()).toEqual([]);
  });

  it("runs a pod's file: shared emptyDir, limits, host port, logs followed to the end", async () => {
    await using folder = await tempDir("cli");
    const { image } = node();
    const port = await freePort();
    const file = join(folder.path, "pod.yaml");
    await writeFile(
      file,
      `
apiVersion: v1
kind: Pod
metadata: { name: two, labels: { app: x } }
spec:
  restartPolicy: Never
  volumes: [{ name: www, emptyDir: {} }]
  containers:
  - name: writer
    image: ${image}
    command: [sh, -c, "for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done; echo page > /www/index.html; exit 3"]
    volumeMounts: [{ name: www, mountPath: /www }]
    resources: { limits: { cpu: 300m, memory: 32Mi } }
  - name: server
    image: ${image}
    command: [httpd, -f, -p, "80", -h, /www]
    ports: [{ containerPort: 80, hostPort: ${port} }]
    volumeMounts: [{ name: www, mountPath: /www, readOnly: true }]
`,
    );
    await ok("run", "-f", file);
    expect(await ok("logs", "-f", "writer")).toBe("line 1\nline 2\nline 3\nline 4\nline 5\n");
    expect(await ok("logs", "--tail", "2", "writer")).toBe("line 4\nline 5\n");
    expect(await ok("ps", "-a")).toMatch(/ exited +writer /);
    expect(await ok("exec", "server", "cat", "/www/index.html")).toBe("page\n");
    expect((await run("exec", "server", "touch", "/www/x")).code).not.toBe(0);
    const page = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(within(5_000)) });
    expect(await page.text()).toBe("page\n");
    expect(await ok("pods", "--label", "app=x", "-q")).not.toBe("");
    expect(await ok("pods", "--label", "app=y", "-q")).toBe("");
    await ok("rm", "--force", "--all");
    expect(await podFolders()).toEqual([]);
  });

  it("that fails leaves nothing and says why", async () => {
    const { image, registry } = node();
    expect(await run("run", image, "no-such-program")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no-such-program"),
    });
    const missing = `${registry.host}/nothing:1`;
    expect(await run("run", missing)).toMatchObject({ code: 1, stderr: expect.stringContaining(missing) });
    expect((await run("run")).code).toBe(2);
    expect((await run("run", "-f", "/nonexistent.yaml")).code).toBe(2);
    expect((await run("run", "--publish", "x", image)).code).toBe(2);
    expect(await ok("pods", "-q")).toBe("");
    expect(await podFolders()).toEqual([]);
  });
});

describe("kobako pull, images, rmi", () => {
  it("shows each layer and what came of it", async () => {
    const { registry, image } = node();
    await ok("rmi", image);
    expect(await ok("images", "-q")).toBe("");
    const { stdout, stderr, code } = await run("pull", image);
    expect(code).toBe(0);
    const id = stdout.trim();
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(stderr).toMatch(
      /^[0-9a-f]{12}: (waiting|downloading|extracting|done|already here) \(\d+\.\d MiB\)$/m,
    );
    expect(await ok("images")).toContain(`${registry.host}/test`);
    expect(JSON.parse(await ok("images", image, "-o", "json"))).toMatchObject({ images: [{ id }] });
    expect(await run("pull", `${registry.host}/none:1`)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/none:1/),
    });
    expect(await run("rmi", "none:1")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("is not here"),
    });
  });
});

describe("helpful errors", () => {
  it("when no daemon answers", async () => {
    for (const args of [
      ["pods"],
      ["ps"],
      ["images"],
      ["pull", "x"],
      ["logs", "x"],
      ["rm", "x"],
      ["run", "x"],
    ])
      expect((await run("--address", "unix:///nonexistent/k.sock", ...args)).code, args[0]).toBe(3);
    // Wherever the flag stands.
    expect((await run("pods", "--address", "unix:///nonexistent/k.sock")).code).toBe(3);
    const { code, stderr } = await run("--address", "unix:///nonexistent/k.sock", "exec", "x", "y");
    expect(code).toBe(3);
    expect(stderr).toContain(
      'kobakod is not running at /nonexistent/k.sock: start it with "systemctl start kobako" or "kobako daemon"',
    );
    expect(await run("--address", "unix:///nonexistent/k.sock", "version")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("daemon: kobakod is not running"),
    });
  });

  it("when a second daemon wants the same root, or a key is not known", async () => {
    const { daemon } = node();
    const second = await run("daemon", "--config", daemon.configFile);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/another kobako daemon uses root .*: stop it, or choose another root/);
    await using folder = await tempDir("cli");
    const file = join(folder.path, "bad.toml");
    await writeFile(file, "[network]\ndefualt = 'embedded'\n");
    for (const args of [
      ["daemon", "--config", file],
      ["config", "check", file],
    ])
      expect(await run(...args)).toMatchObject({
        code: 1,
        stderr: `kobako: ${file}:2: unknown key network.defualt: did you mean default?\n`,
      });
    expect(await run("config", "check", daemon.configFile)).toMatchObject({ code: 0 });
    expect(await ok("config", "print", "--config", daemon.configFile, "--set", "log.level=debug")).toMatch(
      /level = "debug" # --set log.level/,
    );
  });

  it("reset wants the daemon stopped and a yes", async () => {
    const { daemon } = node();
    expect(await run("reset", "--config", daemon.configFile, "--yes")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("stop it first"),
    });
    expect(await run("reset", "--root", "/nonexistent/root", "--state", "/nonexistent/state")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("say --yes"),
    });
  });

  it("reset waits for what frees a removed snapshot, and leaves nothing", async () => {
    await using daemon = await testDaemon({ network: "none" });
    await daemon.end("SIGTERM");
    // As a daemon leaves it that ends right after a large pod: freeing it takes longer than all else that reset does.
    const removed = join(daemon.root, "snapshots/.trash/0123456789abcdef");
    // What lies deep is moved up before it is removed: another who removes the same tree meets names that he has not read.
    for (let i = 0; i < 2000; i++)
      mkdirSync(join(removed, String(i), "a/b/c/d/e/f/g/h"), { recursive: true });
    await ok("reset", "--config", daemon.configFile, "--yes");
    expect(existsSync(daemon.root)).toBe(false);
  });
});

describe("kobako daemon", () => {
  it("takes a new log level over on SIGHUP, and keeps the old configuration when the new one is bad", async () => {
    await using daemon = await testDaemon({ network: "none" });
    const config = await readFile(daemon.configFile, "utf8");
    await writeFile(daemon.configFile, `${config}\n[log]\nlevel = "debug"\n`);
    process.kill(daemon.pid, "SIGHUP");
    await waitFor("the reload", () => /"applied":\["log.level"\]/.test(daemon.log()));
    await writeFile(daemon.configFile, `${config}\n[log]\nlevle = "warn"\n`);
    process.kill(daemon.pid, "SIGHUP");
    await waitFor("the refusal", () => /did you mean level/.test(daemon.log()));
    expect(await daemon.client.version({})).toMatchObject({ runtimeName: "kobako" });
  });

  it("ends within 10 s of SIGTERM, also while someone listens to events, and takes its socket away", async () => {
    await using daemon = await testDaemon({ network: "none" });
    const events = daemon.client.getContainerEvents({})[Symbol.asyncIterator]();
    const ended = events.next().catch((error: { code: number }) => error.code);
    await daemon.client.version({});
    const started = performance.now();
    expect(await daemon.end("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(performance.now() - started).toBeLessThan(within(10_000));
    expect(await ended).toBe(14);
    expect(existsSync(daemon.socket)).toBe(false);
  });
});

describe("kobako logs | head", () => {
  it("ends without a complaint when its reader has seen enough", async () => {
    const { image } = node();
    await ok("run", "--name", "much", image, "sh", "-c", "yes | head -n 200000");
    const env = { ...process.env, KOBAKO_ADDRESS: `unix://${node().daemon.socket}` };
    const child = spawn("/bin/sh", ["-c", `${kobako} logs -f test | head -n 3`], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (text) => {
      out += text;
    });
    child.stderr.on("data", (text) => {
      err += text;
    });
    const [code] = (await once(child, "exit")) as [number];
    expect([code, out, err]).toEqual([0, "y\ny\ny\n", ""]);
    await ok("rm", "-f", "much");
  });
});
