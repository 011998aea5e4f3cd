/**
 * gVisor's containers are processes of a sandbox, and the sandbox begins with a container of its own: a program of ours
 * that waits, on a root filesystem that holds nothing else. It begins when the network is there, because the sandbox
 * takes the addresses of the pod's interfaces over at that moment.
 */
import { chmodSync, copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { MonitorSandbox } from "../builtin.ts";
import type { RuntimeSandbox, SandboxSpec } from "../handler.ts";
import { sandboxSpec } from "../shim-v2/spec.ts";

/** `sandbox` with a container of the sandbox's own id, which is not told of among the others. */
export function withSandboxContainer(
  sandbox: MonitorSandbox,
  monitorBinary: string,
  spec: SandboxSpec,
): RuntimeSandbox {
  sandbox.whenNetworkReady = async (signal) => {
    const bundle = join(spec.runDir, "sandbox");
    const layer = join(bundle, "layer");
    for (const folder of ["layer/proc", "layer/dev", "layer/sys", "upper", "work"])
      mkdirSync(join(bundle, folder), { recursive: true, mode: 0o755 });
    copyFileSync(join(dirname(monitorBinary), "kobako-pause"), join(layer, "pause"));
    chmodSync(join(layer, "pause"), 0o755); // its program is nobody's
    const rootfs = { lower: [layer], upper: join(bundle, "upper"), work: join(bundle, "work"), options: [] };
    await sandbox.prepare(
      {
        containerId: spec.id,
        bundle,
        rootfs,
        user: "65535:65535",
        group: "",
        supplementalGroups: [],
        groupsPolicy: "strict",
      },
      signal,
    );
    const { namespaces, hostname, annotations, sysctls } = spec;
    await sandbox.create(
      {
        containerId: spec.id,
        bundle,
        spec: sandboxSpec({
          id: spec.id,
          hostname,
          namespaces,
          paths: { network: undefined, ipc: undefined, uts: undefined, pid: undefined },
          cgroupsPath: `${spec.cgroupParent}/kobako-sandbox-${spec.id.slice(0, 16)}`,
          annotations,
          sysctls,
        }),
        logPath: null,
        logRoot: null,
        tty: false,
        stdin: false,
        stdinOnce: false,
        shm: false,
      },
      signal,
    );
    await sandbox.start(spec.id, signal);
  };
  return sandbox;
}
