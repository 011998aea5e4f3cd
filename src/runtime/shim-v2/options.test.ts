import { describe, expect, it } from "vitest";
import { RuncOptions, RuntimeOptions } from "../../ttrpc/message.ts";
import { parseShimOptions } from "./options.ts";

const runsc = "/usr/bin/containerd-shim-runsc-v1";
const runc = "/usr/bin/containerd-shim-runc-v2";

describe("the options of a shim", () => {
  it("name its configuration file, and by default a sandbox container is made", () => {
    const { message, sandboxContainer, env } = parseShimOptions("g", runsc, {
      config_path: "/etc/runsc.toml",
      type_url: "io.containerd.runsc.v1.options",
      env_KATA_CONF_FILE: "/x",
    });
    expect(message?.typeUrl).toBe("runtimeoptions.v1.Options");
    expect(RuntimeOptions.decode(message?.value ?? new Uint8Array())).toMatchObject({
      configPath: "/etc/runsc.toml",
      typeUrl: "io.containerd.runsc.v1.options",
    });
    expect(sandboxContainer).toBe(true);
    expect(env).toEqual({ KATA_CONF_FILE: "/x" });
    expect(parseShimOptions("g", runsc, {}).message).toBeUndefined();
  });

  it("of containerd's shim for runc are runc's", () => {
    const { message, sandboxContainer } = parseShimOptions("r", runc, {
      binary_name: "/opt/runc",
      root: "/run/r",
      systemd_cgroup: "true",
    });
    expect(RuncOptions.decode(message?.value ?? new Uint8Array())).toMatchObject({
      binaryName: "/opt/runc",
      root: "/run/r",
      systemdCgroup: true,
    });
    expect(sandboxContainer).toBe(false);
  });

  it.each([
    [runsc, { confg_path: "/x" }, /runtimes\.n\.options\.confg_path: unknown/],
    [runsc, { config_path: "x" }, /not an absolute path/],
    [runsc, { binary_name: "x" }, /named by config_path/],
    [runc, { config_path: "/x" }, /takes none/],
    [runc, { systemd_cgroup: "yes" }, /neither true nor false/],
    [runsc, { sandbox_container: "1" }, /neither true nor false/],
    [runsc, { "env_a b": "1" }, /unknown/],
  ] as const)("%s %j is refused by name", (program, options, message) => {
    expect(() => parseShimOptions("n", program, options)).toThrow(message);
  });
});
