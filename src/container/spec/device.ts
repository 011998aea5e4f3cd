/** Device nodes of a container and the rules of its device cgroup. Pure. */
import { posix } from "node:path";
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { OciDevice, OciDeviceRule } from "../../oci/runtime-spec.ts";
import type { DeviceMapping } from "../config.ts";
import type { DeviceNode } from "./facts.ts";

/**
 * What every container may use: null, zero, full, random, urandom, tty, console, ptmx and its pts.
 * Making any node is allowed, opening it is not: programs that unpack archives rely on it.
 */
const commonRules: readonly OciDeviceRule[] = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  { allow: true, type: "c", major: 1, minor: 3, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 5, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 7, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 8, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 9, access: "rwm" },
  { allow: true, type: "c", major: 5, minor: 0, access: "rwm" },
  { allow: true, type: "c", major: 5, minor: 1, access: "rwm" },
  { allow: true, type: "c", major: 5, minor: 2, access: "rwm" },
  { allow: true, type: "c", major: 136, access: "rwm" },
];

export interface DevicePlan {
  readonly devices: readonly OciDevice[];
  readonly rules: readonly OciDeviceRule[];
}

export interface DeviceRequest {
  readonly devices: readonly DeviceMapping[];
  readonly nodes: ReadonlyMap<string, DeviceNode>;
  readonly privileged: boolean;
  readonly hostDevices: readonly DeviceNode[];
}

/**
 * The nodes beside the common ones, and who may be opened. A privileged container gets every node of
 * the host and may open all.
 * @throws RuntimeError `invalid-argument` for permissions other than some of "rwm" and for a path where
 * no device is.
 */
export function planDevices(request: DeviceRequest): DevicePlan {
  const devices = new Map<string, OciDevice>();
  const rules: OciDeviceRule[] = request.privileged ? [{ allow: true, access: "rwm" }] : [...commonRules];
  for (const node of request.hostDevices) {
    if (node.type === "c" || node.type === "b") devices.set(node.path, device(node.path, node, node.type));
  }
  for (const mapping of request.devices) {
    const { node, type } = findNode(mapping, request.nodes);
    const access = checkAccess(mapping);
    const path = posix.normalize(mapping.containerPath || mapping.hostPath);
    if (!path.startsWith("/dev/") && !posix.isAbsolute(path)) {
      throw new RuntimeError(
        "invalid-argument",
        `device path "${mapping.containerPath}" in the container is not absolute`,
      );
    }
    devices.set(path, device(path, node, type));
    if (!request.privileged) rules.push({ allow: true, type, major: node.major, minor: node.minor, access });
  }
  return { devices: [...devices.values()], rules };
}

function findNode(
  mapping: DeviceMapping,
  nodes: ReadonlyMap<string, DeviceNode>,
): { node: DeviceNode; type: "c" | "b" } {
  const node = nodes.get(mapping.hostPath);
  if (!node) throw new RuntimeError("invalid-argument", `device "${mapping.hostPath}" does not exist`);
  const { type } = node;
  if (type === "c" || type === "b") return { node, type };
  const found = {
    link: "a symbolic link: name the device it leads to",
    folder: "a folder",
    other: "no device",
  }[type];
  throw new RuntimeError("invalid-argument", `device "${mapping.hostPath}" is ${found}`);
}

function checkAccess({ permissions, hostPath }: DeviceMapping): string {
  const letters = new Set(permissions);
  if (letters.size !== permissions.length || letters.size === 0 || !/^[rwm]+$/.test(permissions)) {
    throw new RuntimeError(
      "invalid-argument",
      `device "${hostPath}": permissions "${permissions}", expected some of "rwm"`,
    );
  }
  return permissions;
}

function device(path: string, node: DeviceNode, type: "c" | "b"): OciDevice {
  return {
    path,
    type,
    major: node.major,
    minor: node.minor,
    fileMode: node.mode & 0o7777,
    uid: node.uid,
    gid: node.gid,
  };
}
