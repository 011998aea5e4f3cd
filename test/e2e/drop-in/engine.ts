/**
 * podman and docker with kobako-oci as their only runtime, each on folders, sockets and cgroups of its own and without
 * networks of their making. The packages come from hack/engines.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { mountPoints } from "../../../hack/leftovers.ts";
import { busyboxEntries } from "../../support/busybox.ts";
import { removeCgroups } from "../../support/host.ts";
import { tarOf } from "../../support/image-builder.ts";
import { engineSettings } from "../../support/documented.ts";
import { program } from "../../support/programs.ts";
import { endChild } from "../../support/registry.ts";
import { ownName } from "../../support/run.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { waitFor } from "../../support/wait.ts";

export const kobakoOci = new URL("../../../build/bin/kobako-oci", import.meta.url).pathname;
export const image = "busybox:test";
export type EngineName = "podman" | "docker";

const path = "/usr/sbin:/usr/bin:/sbin:/bin";
const callTimeoutMs = 60_000;

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Engine extends AsyncDisposable {
  readonly name: EngineName;
  /** The parent of all its containers' cgroups. */
  readonly cgroupParent: string;
  /** A command of the engine, whatever comes of it. */
  call(args: readonly string[], input?: string): Promise<Answer>;
  /** One that must succeed: its standard output, without the last newline. @throws with what the engine said. */
  must(args: readonly string[], input?: string): Promise<string>;
}

export async function startEngine(name: EngineName): Promise<Engine> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await tempDir(name));
  // podman's storage is a mount of its own; the clean-up of a container that ended late leaves it.
  undo.defer(() => {
    for (const point of mountPoints()
      .filter((path) => path.startsWith(`${folder.path}/`))
      .toReversed())
      spawnSync("umount", ["--lazy", point]);
  });
  const cgroupParent = `/${ownName()}`;
  undo.defer(async () => {
    await waitFor("its cgroups to be empty", () => {
      removeCgroups(cgroupParent);
      return readdirSync("/sys/fs/cgroup").every(
        (name) => !existsSync(join("/sys/fs/cgroup", name, cgroupParent)),
      );
    });
  });
  const { command, env, end } =
    name === "podman" ? await podman(folder.path) : await docker(folder.path, cgroupParent, undo);
  const call = (args: readonly string[], input = "") =>
    invoke([...command, ...args], env, input, folder.path);
  const must = async (args: readonly string[], input?: string) => {
    const { code, stdout, stderr } = await call(args, input);
    if (code !== 0) throw new Error(`${name} ${args.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
    return stdout.trimEnd();
  };
  undo.defer(async () => {
    const all = (await must(["ps", "-aq"])).split("\n").filter(Boolean);
    const kill = name === "podman" ? ["-f", "-t", "0"] : ["-f"]; // docker's asks nobody
    if (all.length > 0) await must(["rm", ...kill, ...all]);
    await end?.();
  });
  const archive = join(folder.path, "image.tar");
  await writeFile(
    archive,
    await tarOf([...busyboxEntries(), { name: "bin/waiter", mode: 0o755, content: program("waiter") }]),
  );
  await must(["import", archive, image]);
  const owned = undo.move();
  return { name, cgroupParent, call, must, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Started {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly end?: () => Promise<void>;
}

/** No daemon: the settings of each call. Limits above the machine's own can't be given where CAP_SYS_RESOURCE is missing. */
async function podman(folder: string): Promise<Started> {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const hard = (label: string) => new RegExp(`^${label} +\\S+ +(\\d+)`, "m").exec(limits)?.[1];
  const ulimits = Object.entries({ nofile: hard("Max open files"), nproc: hard("Max processes") })
    .filter((limit): limit is [string, string] => limit[1] !== undefined)
    .map(([kind, most]) => `${kind}=1024:${most}`);
  const config = join(folder, "containers.conf");
  await writeFile(
    config,
    stringify({
      containers: { default_ulimits: ulimits },
      engine: {
        ...engineSettings("/etc/containers/containers.conf", kobakoOci).engine,
        cgroup_manager: "cgroupfs",
        events_logger: "file",
      },
    }),
  );
  const at = (name: string) => join(folder, name);
  return {
    command: [
      "/usr/bin/podman",
      ...["--root", at("root"), "--runroot", at("run"), "--tmpdir", at("tmp"), "--storage-driver", "overlay"],
    ],
    env: { CONTAINERS_CONF: config },
  };
}

async function docker(folder: string, cgroupParent: string, undo: AsyncDisposableStack): Promise<Started> {
  const at = (name: string) => join(folder, name);
  const socket = `unix://${at("docker.sock")}`;
  await writeFile(
    at("daemon.json"),
    JSON.stringify({
      "data-root": at("root"),
      "exec-root": at("exec"),
      pidfile: at("docker.pid"),
      hosts: [socket],
      ...engineSettings("/etc/docker/daemon.json", kobakoOci),
      "cgroup-parent": cgroupParent,
      "exec-opts": ["native.cgroupdriver=cgroupfs"],
      // The machine's firewall and links are not the test's.
      iptables: false,
      ip6tables: false,
      bridge: "none",
    }),
  );
  const logFile = at("docker.log");
  const log = openSync(logFile, "a");
  const child: ChildProcess = spawn("/usr/sbin/dockerd", ["--config-file", at("daemon.json")], {
    stdio: ["ignore", log, log],
    env: { PATH: path },
  });
  closeSync(log);
  undo.defer(() => endChild(child));
  const started = { command: ["/usr/bin/docker"], env: { DOCKER_HOST: socket, HOME: folder } };
  await waitFor(
    "dockerd to serve",
    async () => {
      if (child.exitCode !== null)
        throw new Error(
          `dockerd ended with ${child.exitCode}\n${readFileSync(logFile, "utf8").slice(-2000)}`,
        );
      return (
        existsSync(at("docker.sock")) &&
        (await invoke(["/usr/bin/docker", "version"], started.env, "", folder)).code === 0
      );
    },
    { timeoutMs: 30_000, intervalMs: 100 },
  );
  return started;
}

async function invoke(
  [file = "", ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
  input: string,
  cwd: string, // where podman's conmon leaves files
): Promise<Answer> {
  const child = spawn(file, args, {
    cwd,
    env: { PATH: path, ...env },
    timeout: callTimeoutMs,
    killSignal: "SIGKILL",
  });
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (data: Buffer) => out.push(data));
  child.stderr.on("data", (data: Buffer) => err.push(data));
  child.stdin.on("error", () => {}); // a command that reads no input may end before it is written
  child.stdin.end(input);
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", (cause) =>
      reject(new Error(`${file} can't be started: hack/engines installs it`, { cause })),
    );
    child.once("close", (status, signal) =>
      signal === null
        ? resolve(status ?? 1)
        : reject(new Error(`${file} ${args.join(" ")}: ended by ${signal} (its time: ${callTimeoutMs} ms)`)),
    );
  });
  return { code, stdout: Buffer.concat(out).toString("utf8"), stderr: Buffer.concat(err).toString("utf8") };
}
