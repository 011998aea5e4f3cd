/** containerd with runc and the reference CNI plugins, on folders of its own, to be put beside us. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { chmod, copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { stringify } from "smol-toml";
import { criClient } from "../../test/support/cri-client.ts";
import { buildImage } from "../../test/support/image-builder.ts";
import { program } from "../../test/support/programs.ts";
import { endChild, type Registry } from "../../test/support/registry.ts";
import { tempDir, volatileDir } from "../../test/support/temp-dir.ts";
import { must } from "../run.ts";

const tools = [
  "containerd",
  "containerd-shim-runc-v2",
  "runc",
  "cni-bridge",
  "cni-host-local",
  "cni-loopback",
  "cni-portmap",
] as const;

export interface Peer extends AsyncDisposable {
  readonly name: string;
  readonly endpoint: string;
  readonly marks: readonly string[];
  readonly startMs: number;
}

/** The runtime that it uses; default: the runc of hack/tools. */
export interface PeerRuntime {
  readonly name: string;
  /** An OCI runtime, or with `configPath` a shim. */
  readonly path: string;
  /** What a shim that is not runc's reads its configuration from. */
  readonly configPath?: string | undefined;
  /** The table `containerd` of the CRI plugin that names it, instead of one made of `path`. */
  readonly table?: {
    readonly default_runtime_name: string;
    readonly runtimes: Readonly<Record<string, { readonly options: object }>>;
  };
  /** A mount that it can't do with: containerd is started where it is not. */
  readonly hide?: string | undefined;
}

/** The same with the runtimes' states in `root`: their default is every containerd's. */
function withRoot(table: NonNullable<PeerRuntime["table"]>, root: string) {
  const runtimes = Object.entries(table.runtimes).map(
    ([name, entry]) => [name, { ...entry, options: { ...entry.options, Root: root } }] as const,
  );
  return { ...table, runtimes: Object.fromEntries(runtimes) };
}

/**
 * Builds what is missing (minutes), starts it and returns when it serves. `mirrored`: names of registries for which
 * `registry` stands in.
 */
export async function startContainerd(
  registry: Registry,
  mirrored: readonly string[] = [],
  runtime?: PeerRuntime,
): Promise<Peer> {
  const built = (await must([join(import.meta.dirname, "../tools"), ...tools]))
    .trim()
    .split("\n")
    .slice(-tools.length);
  const folder = await tempDir("peer");
  const state = await volatileDir();
  await chmod(folder.path, 0o711); // user namespaces: their root must reach the root filesystems
  const at = (...parts: string[]) => join(folder.path, ...parts);
  await mkdir(at("bin"), { recursive: true });
  await mkdir(at("cni.d"), { recursive: true });
  for (const [i, name] of tools.entries()) {
    const from = built[i] ?? "";
    await symlink(from, at("bin", name.replace(/^cni-/, "")));
  }
  // Its own pause image: one static process that waits.
  const pause = await registry.push(
    "pause",
    "1",
    await buildImage({
      layers: [
        [
          { name: "pause", mode: 0o755, content: program("waiter") },
          { name: "its-own", content: "" },
        ],
      ],
      config: { Entrypoint: ["/pause"] },
    }),
  );
  const id = basename(folder.path).slice(-6).toLowerCase();
  const bridge = `pe${id}`;
  await writeFile(
    at("cni.d", "10-peer.conflist"),
    JSON.stringify({
      cniVersion: "1.0.0",
      name: `peer-${id}`,
      plugins: [
        {
          type: "bridge",
          bridge,
          isGateway: true,
          ipMasq: false,
          hairpinMode: true,
          ipam: {
            type: "host-local",
            dataDir: at("ipam"),
            ranges: [[{ subnet: "10.213.0.0/16" }], [{ subnet: "fd00:213::/64" }]],
            routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
          },
        },
        { type: "portmap", capabilities: { portMappings: true }, backend: "nftables" },
      ],
    }),
  );
  for (const host of mirrored) {
    await mkdir(at("certs.d", host), { recursive: true });
    await writeFile(
      at("certs.d", host, "hosts.toml"),
      `server = "https://${host}"\n[host."${registry.url}"]\ncapabilities = ["pull", "resolve"]\n`,
    );
  }
  const socket = at("containerd.sock");
  await writeFile(
    at("config.toml"),
    stringify({
      version: 3,
      root: at("root"),
      state: state.path,
      grpc: { address: socket },
      ttrpc: { address: at("ttrpc.sock") },
      plugins: {
        "io.containerd.internal.v1.opt": { path: at("opt") },
        "io.containerd.nri.v1.nri": { disable: true },
        "io.containerd.cri.v1.images": {
          snapshotter: "overlayfs",
          registry: { config_path: at("certs.d") },
          pinned_images: { sandbox: pause },
        },
        "io.containerd.cri.v1.runtime": {
          restrict_oom_score_adj: true,
          cni: { bin_dirs: [at("bin")], conf_dir: at("cni.d") },
          containerd: (runtime?.table && withRoot(runtime.table, join(state.path, "runc"))) ?? {
            default_runtime_name: "runc",
            runtimes: {
              runc:
                runtime?.configPath === undefined
                  ? {
                      runtime_type: "io.containerd.runc.v2",
                      options: {
                        BinaryName: runtime?.path ?? at("bin/runc"),
                        Root: join(state.path, "runc"),
                      },
                    }
                  : {
                      runtime_type: "io.containerd.runsc.v1",
                      runtime_path: runtime.path,
                      options: {
                        TypeUrl: "io.containerd.runsc.v1.options",
                        ConfigPath: runtime.configPath,
                      },
                    },
            },
          },
        },
        "io.containerd.grpc.v1.cri": {
          disable_tcp_service: true,
          stream_server_address: "127.0.0.1",
          stream_server_port: "0",
        },
      },
    }),
  );
  const log = openSync(at("containerd.log"), "a");
  const begun = performance.now();
  const command = [at("bin/containerd"), "--config", at("config.toml")];
  if (runtime?.hide !== undefined)
    command.unshift("unshare", "--mount", "sh", "-c", `umount -l ${runtime.hide} && exec "$@"`, "sh");
  const child = spawn(command[0] ?? "", command.slice(1), {
    stdio: ["ignore", log, log],
    env: { PATH: `${at("bin")}:/usr/sbin:/usr/bin:/sbin:/bin` },
  });
  closeSync(log);
  const client = criClient(socket);
  const deadline = begun + 30_000;
  for (;;) {
    try {
      await client.version({}, { timeoutMs: 1000 });
      break;
    } catch (cause) {
      if (child.exitCode !== null || performance.now() > deadline) {
        const tail = readFileSync(at("containerd.log"), "utf8").trimEnd().split("\n").slice(-10).join("\n");
        await endChild(child);
        throw new Error(`containerd does not serve\n${tail}`, { cause });
      }
      await delay(10);
    }
  }
  const startMs = performance.now() - begun;
  return {
    name: `containerd + ${runtime?.name ?? "runc"}`,
    endpoint: socket,
    marks: [folder.path, state.path],
    startMs,
    async [Symbol.asyncDispose]() {
      const { items } = await client.listPodSandbox({}).catch(() => ({ items: [] }));
      for (const { id: podSandboxId } of items) {
        await client.stopPodSandbox({ podSandboxId }).catch(() => {});
        await client.removePodSandbox({ podSandboxId }).catch(() => {});
      }
      client.close();
      await endChild(child);
      await must(["sh", "-c", `ip link delete ${bridge} 2>/dev/null || true`]);
      await copyFile(at("containerd.log"), join(import.meta.dirname, "../../build/containerd.log")).catch(
        () => {},
      );
      await state[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
