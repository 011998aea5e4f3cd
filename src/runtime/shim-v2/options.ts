/**
 * The options of a shim handler, from `[runtimes.NAME.options]`. Pure.
 * What goes to the shim is one message: containerd's runc options for containerd-shim-runc, else the general
 * one that names a configuration file (gVisor, Kata, Firecracker).
 */
import { basename } from "node:path";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { type AnyInit, RuncOptions, RuntimeOptions, typeUrl } from "../../ttrpc/message.ts";

export interface ShimOptions {
  /** Of the message below, as the shim's runtime type wants it. */
  readonly message: AnyInit | undefined;
  /** The shim runs a container of the sandbox's own before the others: gVisor, VMs. */
  readonly sandboxContainer: boolean;
  /** More variables of the shim's environment. */
  readonly env: Readonly<Record<string, string>>;
}

const known = [
  "sandbox_container",
  "type_url",
  "config_path",
  "binary_name",
  "root",
  "systemd_cgroup",
  "no_pivot_root",
  "criu_image_path",
  "criu_work_path",
];

/** @throws RuntimeError `invalid-argument` naming the option. */
export function parseShimOptions(
  name: string,
  program: string,
  options: Readonly<Record<string, string>>,
): ShimOptions {
  const refuse = (key: string, why: string) =>
    new RuntimeError("invalid-argument", `runtimes.${name}.options.${key}: ${why}`);
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries(options)) {
    if (key.startsWith("env_") && /^[A-Za-z_][A-Za-z0-9_]*$/.test(key.slice(4))) env[key.slice(4)] = value;
    else if (!known.includes(key)) throw refuse(key, `unknown, there are ${known.join(", ")} and env_NAME`);
  }
  const flag = (key: string): boolean | undefined => {
    const value = options[key];
    if (value === undefined) return undefined;
    if (value !== "true" && value !== "false")
      throw refuse(key, `${JSON.stringify(value)} is neither true nor false`);
    return value === "true";
  };
  const absolute = (key: string): string | undefined => {
    const value = options[key];
    if (value !== undefined && !value.startsWith("/")) throw refuse(key, "is not an absolute path");
    return value;
  };
  const isRunc = basename(program).startsWith("containerd-shim-runc-");
  if (isRunc) {
    for (const key of ["type_url", "config_path"])
      if (options[key] !== undefined) throw refuse(key, "containerd-shim-runc takes none");
    const message = RuncOptions.encode({
      binaryName: options.binary_name,
      root: absolute("root"),
      systemdCgroup: flag("systemd_cgroup"),
      noPivotRoot: flag("no_pivot_root"),
      criuImagePath: absolute("criu_image_path"),
      criuWorkPath: absolute("criu_work_path"),
    });
    return {
      message: { typeUrl: typeUrl.runcOptions, value: message },
      sandboxContainer: flag("sandbox_container") ?? false,
      env,
    };
  }
  for (const key of known.slice(3))
    if (options[key] !== undefined)
      throw refuse(key, "is for containerd-shim-runc; this shim reads its file, named by config_path");
  const configPath = absolute("config_path");
  const inner = options.type_url;
  return {
    message:
      configPath === undefined && inner === undefined
        ? undefined
        : {
            typeUrl: typeUrl.runtimeOptions,
            value: RuntimeOptions.encode({ typeUrl: inner, configPath }),
          },
    sandboxContainer: flag("sandbox_container") ?? true,
    env,
  };
}
