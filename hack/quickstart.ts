/** hack/quickstart: see there. Each step is timed; the table at the end is what really ran. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { ContainerConfigInit, PodSandboxConfigInit } from "../cri-api/index.ts";
import { busyboxEntries } from "../test/support/busybox.ts";
import { type CriClient, criClient } from "../test/support/cri-client.ts";
import { processInfo } from "../test/support/host.ts";
import { buildImage, push } from "../test/support/image-builder.ts";
import { kobako, startOwn, stopOwn } from "./own-daemon.ts";
import { textTable } from "./text-table.ts";

const folder = process.env.KOBAKO_QUICKSTART ?? "/var/lib/kobako-quickstart";
const registryFolder = join(folder, "registry");
const registryPort = Number(process.env.KOBAKO_QUICKSTART_PORT ?? 5443);
const registry = `127.0.0.1:${registryPort}`;
const image = `${registry}/kobako/web:1`;
const page = "<h1>hello from a kobako pod</h1>";

const steps: { step: string; what: string; ms: number }[] = [];

/** Runs and times one step; `what` says what came of it. */
async function timed<T>(step: string, action: () => Promise<T>, what: (value: T) => string): Promise<T> {
  const begun = performance.now();
  try {
    const value = await action();
    steps.push({ step, what: what(value), ms: performance.now() - begun });
    return value;
  } catch (cause) {
    throw new Error(`${step}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

const registryPidFile = join(folder, "registry.pid");

function registryPid(): number | undefined {
  if (!existsSync(registryPidFile)) return undefined;
  const [pid, startTime] = readFileSync(registryPidFile, "utf8").trim().split(" ");
  return processInfo(Number(pid))?.startTime === startTime ? Number(pid) : undefined;
}

async function registryAnswers(): Promise<boolean> {
  return await fetch(`http://${registry}/v2/`, { signal: AbortSignal.timeout(1000) }).then(
    (response) => response.ok,
    () => false,
  );
}

/** docker-registry, detached: the image can be pulled again by hand afterwards. */
async function startRegistry(): Promise<number> {
  const running = registryPid();
  if (running !== undefined) return running;
  if (await registryAnswers())
    throw new Error(`another registry listens on ${registry}: set KOBAKO_QUICKSTART_PORT to a free port`);
  await mkdir(join(registryFolder, "data"), { recursive: true });
  const config = join(registryFolder, "config.yml");
  await writeFile(
    config,
    JSON.stringify({
      version: "0.1",
      log: { level: "warn", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(registryFolder, "data") } },
      http: { addr: registry, secret: "loopback only" },
    }),
  );
  const log = openSync(join(registryFolder, "registry.log"), "a");
  const child = spawn("docker-registry", ["serve", config], {
    stdio: ["ignore", log, log],
    cwd: "/",
    detached: true,
    env: { PATH: "/usr/bin:/bin" },
  });
  closeSync(log);
  let failure: string | undefined;
  child.once("error", (error) => (failure = error.message));
  child.once(
    "exit",
    (code) => (failure = `docker-registry ended with ${code}: see ${registryFolder}/registry.log`),
  );
  const pid = child.pid ?? 0;
  await writeFile(registryPidFile, `${pid} ${processInfo(pid)?.startTime ?? ""}\n`);
  const deadline = performance.now() + 10_000;
  while (!(await registryAnswers())) {
    if (failure !== undefined) throw new Error(failure);
    if (performance.now() > deadline) throw new Error("docker-registry does not answer after 10 s");
    await delay(20);
  }
  child.unref();
  return pid;
}

async function down(): Promise<void> {
  await stopOwn(folder);
  const pid = registryPid();
  if (pid !== undefined) {
    process.kill(pid, "SIGTERM");
    const deadline = performance.now() + 5000;
    while (registryPid() !== undefined && performance.now() < deadline) await delay(20);
  }
  for (const name of ["registry", "registry.pid", "pod-logs", "pod.json", "web.json", "crictl.yaml"])
    await rm(join(folder, name), { recursive: true, force: true });
  if (existsSync(folder)) await rmdir(folder).catch(() => {});
  console.log(existsSync(folder) ? `kept: ${folder} holds files of others` : "every trace is removed");
}

async function removeFormerPod(client: CriClient): Promise<number> {
  const { items } = await client.listPodSandbox({ filter: { labelSelector: { app: "quickstart" } } });
  for (const { id } of items) {
    await client.stopPodSandbox({ podSandboxId: id });
    await client.removePodSandbox({ podSandboxId: id });
  }
  return items.length;
}

async function fetchPage(ip: string): Promise<string> {
  const deadline = performance.now() + 5000;
  for (;;) {
    try {
      const response = await fetch(`http://${ip}:8080/`, { signal: AbortSignal.timeout(2000) });
      const text = (await response.text()).trim();
      if (response.ok) return text;
      throw new Error(`HTTP ${response.status}`);
    } catch (cause) {
      if (performance.now() > deadline) throw new Error(`no page at http://${ip}:8080/`, { cause });
      await delay(10); // httpd is still starting
    }
  }
}

async function up(): Promise<void> {
  const daemon = await timed(
    "start kobakod",
    () => startOwn(folder),
    ({ pid, started }) => `process ${pid}${started ? "" : ", ran already"}`,
  );
  const client = criClient(daemon.socket);
  const removed = await removeFormerPod(client);
  if (removed > 0) console.error("quickstart: removed the pod of a former run");
  await timed("start a registry", startRegistry, (pid) => `docker-registry on ${registry}, process ${pid}`);
  await timed(
    "build and push an image",
    async () => {
      const built = await buildImage({
        layers: [busyboxEntries(), [{ name: "www/" }, { name: "www/index.html", content: `${page}\n` }]],
        config: {
          Entrypoint: ["/bin/httpd"],
          Cmd: ["-f", "-v", "-p", "[::]:8080", "-h", "/www"],
          Env: ["PATH=/bin"],
        },
      });
      await push(`http://${registry}`, "kobako/web", "1", built);
      return built;
    },
    (built) =>
      `${image}, ${Math.round(built.layers.reduce((sum, { bytes }) => sum + bytes.length, 0) / 1024)} KiB`,
  );
  await timed(
    "pull it",
    () => client.pullImage({ image: { image } }),
    ({ imageRef }) => imageRef.slice(0, 30),
  );

  const config: PodSandboxConfigInit = {
    metadata: { name: "quickstart", namespace: "default", uid: "quickstart", attempt: 0 },
    hostname: "quickstart",
    logDirectory: join(folder, "pod-logs"),
    labels: { app: "quickstart" },
  };
  await mkdir(config.logDirectory ?? "", { recursive: true });
  const { podSandboxId } = await timed(
    "run a pod",
    () => client.runPodSandbox({ config }),
    ({ podSandboxId: id }) => `pod ${id.slice(0, 13)}`,
  );
  const { status } = await client.podSandboxStatus({ podSandboxId });
  const ip = status?.network?.ip ?? "";
  const start = async (container: ContainerConfigInit) => {
    const { containerId } = await client.createContainer({
      podSandboxId,
      config: container,
      sandboxConfig: config,
    });
    await client.startContainer({ containerId });
    return containerId;
  };
  const web = await timed(
    "start container web",
    () => start({ metadata: { name: "web" }, image: { image }, logPath: "web.log" }),
    (id) => `container ${id.slice(0, 13)}, httpd`,
  );
  const script =
    "while :; do wget -q -O /dev/null http://127.0.0.1:8080/ && echo checked; sleep 5 & wait $!; done";
  await timed(
    "start container checker",
    () =>
      start({
        metadata: { name: "checker" },
        image: { image },
        command: ["/bin/sh", "-c", `trap 'exit 0' TERM; ${script}`],
        logPath: "checker.log",
      }),
    (id) => `container ${id.slice(0, 13)}, asks web on loopback`,
  );
  await timed(
    "fetch the page",
    () => fetchPage(ip),
    (text) => `http://${ip}:8080/ says ${text}`,
  );
  await timed(
    "read the log",
    async () => {
      const deadline = performance.now() + 5000;
      for (;;) {
        const text = await readFile(join(folder, "pod-logs/web.log"), "utf8");
        if (text !== "" || performance.now() > deadline) return text.trimEnd().split("\n");
        await delay(5);
      }
    },
    (lines) => `${lines.length} lines, first: ${(lines[0] ?? "").split(" ").slice(3).join(" ").slice(0, 50)}`,
  );
  await timed(
    "exec into it",
    () => client.execSync({ containerId: web, cmd: ["/bin/hostname"], timeout: 10n }),
    ({ stdout, exitCode }) => `hostname: ${Buffer.from(stdout).toString().trim()}, exit code ${exitCode}`,
  );
  client.close();

  // For crictl runp and create by hand: the protobuf JSON form of the same pod.
  await writeFile(
    join(folder, "pod.json"),
    `${JSON.stringify({ metadata: { name: "by-hand", namespace: "default", uid: "by-hand" }, log_directory: config.logDirectory }, null, 2)}\n`,
  );
  await writeFile(
    join(folder, "web.json"),
    `${JSON.stringify({ metadata: { name: "web" }, image: { image }, log_path: "by-hand.log" }, null, 2)}\n`,
  );
  console.log(
    `\n${textTable(
      ["step", "ms", "result"],
      steps.map(({ step, what, ms }) => [step, ms.toFixed(1), what]),
      [1],
    )}\n`,
  );
  const endpoint = `unix://${daemon.socket}`;
  const crictlConfig = join(folder, "crictl.yaml");
  await writeFile(crictlConfig, `runtime-endpoint: ${endpoint}\nimage-endpoint: ${endpoint}\ntimeout: 30\n`);
  const repository = join(import.meta.dirname, "..");
  console.log(`Go on by hand:
  curl http://${ip}:8080/
  ${kobako} --address ${endpoint} pods
  ${kobako} --address ${endpoint} ps
  ${kobako} --address ${endpoint} logs ${web.slice(0, 13)}
  ${kobako} --address ${endpoint} exec ${web.slice(0, 13)} /bin/ps

with crictl (built from its Go module the first time, which takes minutes):
  crictl="$(${repository}/hack/tools crictl) -c ${crictlConfig}"
  $crictl ps
  $crictl run --no-pull ${folder}/web.json ${folder}/pod.json
  $crictl rmp -fa

The daemon's log: ${daemon.logFile}
Stop and remove everything: ${repository}/hack/quickstart --down`);
}

try {
  const { values } = parseArgs({ options: { down: { type: "boolean" } } });
  await (values.down ? down() : up());
} catch (error) {
  console.error(`quickstart: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
process.exit();
