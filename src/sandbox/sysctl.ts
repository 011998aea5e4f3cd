/** Which kernel settings a pod may ask for. Pure. The monitor, which writes them, holds the same list. */
import { RuntimeError } from "../errors/runtime-error.ts";
import type { NamespaceOptions } from "./config.ts";

/** What a new IPC namespace has of its own. Source: ipc_namespaces(7). */
const ipcSettings: ReadonlySet<string> = new Set([
  "kernel.auto_msgmni",
  "kernel.msg_next_id",
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.sem_next_id",
  "kernel.shm_next_id",
  "kernel.shm_rmid_forced",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
]);

const maxValueBytes = 4096;

/**
 * Checks each setting: a name of a namespace that the pod has of its own, a value that is one line.
 * @throws RuntimeError `invalid-argument` naming the setting.
 */
export function checkSysctls(
  sysctls: Readonly<Record<string, string>>,
  namespaces: Pick<NamespaceOptions, "network" | "ipc">,
): void {
  for (const [name, value] of Object.entries(sysctls)) {
    const bad = (what: string) =>
      new RuntimeError("invalid-argument", `sysctl ${JSON.stringify(name.slice(0, 120))}: ${what}`);
    const parts = dotted(name).split(".");
    if (parts.length < 2 || parts.some((part) => !/^[A-Za-z0-9_@:-][A-Za-z0-9_@:/-]*$/.test(part))) {
      throw bad("is no name of a kernel setting");
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    if (Buffer.byteLength(value) > maxValueBytes || /[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) {
      throw bad("its value is not one line of text");
    }
    const plain = parts.join(".");
    if (parts[0] === "net") {
      if (namespaces.network !== "pod") throw bad("the pod uses the host's network namespace");
    } else if (ipcSettings.has(plain) || (parts.length === 3 && plain.startsWith("fs.mqueue."))) {
      if (namespaces.ipc !== "pod") throw bad("the pod uses the host's IPC namespace");
    } else {
      throw bad("does not belong to a namespace that a pod has of its own");
    }
  }
}

/**
 * The dotted form. Names come as `net.ipv4.conf.eth0/1.forwarding` or `net/ipv4/conf/eth0.1/forwarding`:
 * the first separator says which, and the other one stands for a dot in an interface's name.
 */
function dotted(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  if (first !== "/") return name;
  return name.replace(/[./]/g, (separator) => (separator === "/" ? "." : "/"));
}
