import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Config, describeConfig, loadConfig, loadConfigWithOrigins, reloadConfig } from "./config.ts";
import { configReference, printConfig } from "./print.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kobako-config-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(text: string, name = "config.toml"): string {
  const file = join(folder, name);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, text);
  return file;
}
const load = (text: string) => loadConfig({ file: write(text) });

describe("configuration", () => {
  it("has a default for everything", () => {
    const config = loadConfig({ file: write("") });
    expect(config.root).toBe("/var/lib/kobako");
    expect(config.server.socket).toBe("/run/kobako/kobako.sock");
    expect(config.network.default).toBe("none");
    expect(Object.keys(config.runtimes)).toEqual(["builtin"]);
    expect(Object.isFrozen(config.network.confDirs)).toBe(true);
  });

  it("reads files, sizes with units, tables by name", () => {
    const config = load(`root = "/srv/kobako/"
      state = "/run/k"
      [server]
      receive_limit = "64 MiB"
      [logs]
      flush_interval = "1500ms"
      [registries."registry.k8s.io"]
      mirrors = ["http://127.0.0.1:5000"]
      [registries."127.0.0.1:5000"]
      insecure = true
      auth = { username = "u", password = "p" }
      [runtimes.runc]
      type = "oci"
      path = "/usr/sbin/runc"
      options = { SystemdCgroup = "true" }`);
    expect(config.root).toBe("/srv/kobako");
    expect(config.server).toMatchObject({ socket: "/run/k/kobako.sock", receiveLimit: 64 << 20 });
    expect(config.logs).toEqual({ flushInterval: 1500, flushBytes: 64 << 10 });
    expect(load("logs = { flush_interval = 0 }").logs.flushInterval).toBe(0);
    expect(config.registries["registry.k8s.io"]?.mirrors).toEqual(["http://127.0.0.1:5000"]);
    expect(config.registries["127.0.0.1:5000"]?.auth).toMatchObject({ username: "u", password: "p" });
    expect(config.runtimes.runc?.options).toEqual({ SystemdCgroup: "true" });
  });

  it("takes drop-ins sorted by name, later wins key by key; flags win over all", () => {
    const file = write('[log]\nlevel = "warn"\n[network]\ndefault = "embedded"\n');
    write('[log]\nlevel = "debug"\ncalls = "changes"\n', "d/20.toml");
    write('[log]\nlevel = "error"\n', "d/10.toml");
    write("not read", "d/30.toml.old");
    const o = { file, dropIns: join(folder, "d") };
    expect(loadConfig(o)).toMatchObject({
      log: { level: "debug", calls: "changes" },
      network: { default: "embedded" },
    });
    const flags = { "log.level": { value: "trace", flag: "--log-level" } };
    const loaded = loadConfigWithOrigins({ ...o, flags });
    expect(loaded.config.log.level).toBe("trace");
    expect(loaded.origins.get("log.level")?.()).toBe("--log-level");
    expect(loaded.origins.get("log.calls")?.()).toBe(`${join(folder, "d/20.toml")}:3`);
    expect(loaded.origins.get("network.default")?.()).toBe(`${file}:4`);
  });

  it.each([
    [
      "unknown key with the nearest name",
      "[server]\n\nsokcet = '/x'",
      ":3: unknown key server.sokcet: did you mean socket?",
    ],
    [
      "a dash for an underscore",
      "default-runtime = 'x'",
      ":1: unknown key default-runtime: did you mean default_runtime?",
    ],
    [
      "a key of another section",
      "conf_dirs = ['/x']",
      ":1: unknown key conf_dirs: it belongs into [network]",
    ],
    ["a key like no other", "[log]\nzzz = 1", ":2: unknown key log.zzz: known here: level, calls, file"],
    ["an unknown section", "[lag]\nlevel = 'info'", ":1: unknown key lag: did you mean log?"],
    [
      "a key after a list of several lines",
      "[network]\nconf_dirs = [\n '/a',\n '/b',\n]\nbindirs = []",
      ":6: unknown key network.bindirs: did you mean bin_dirs?",
    ],
    [
      "a wrong element on the line where the list begins",
      "[network]\n\nconf_dirs = [\n '/a',\n 'b',\n]",
      ':3: network.conf_dirs must be an absolute path, not ["/a","b"]',
    ],
    [
      "a wrong choice",
      "[log]\nlevel = 'loud'",
      ':2: log.level must be one of trace, debug, info, warn, error, fatal, silent, not "loud"',
    ],
    [
      "a number out of range",
      "[server]\nmax_calls = 1",
      ":2: server.max_calls must be a whole number from 16 to 65536, not 1",
    ],
    ["a size without sense", "[server]\nreceive_limit = '16 XB'", ":2: server.receive_limit must be a size"],
    [
      "a time without a unit",
      "[logs]\nflush_interval = 5",
      ':2: logs.flush_interval must be a length of time from 0s to 1h, such as "5s", not 5',
    ],
    ["a time too long", "[logs]\nflush_interval = '2h'", ":2: logs.flush_interval must be a length of time"],
    ["a relative path", "root = 'x'", ":1: root must be an absolute path"],
    ["a path that climbs", "root = '/a/../b'", ':1: root must be a path without ".."'],
    ["a line break in text", 'default_runtime = "a\\nb"', ":1: default_runtime must be text on one line"],
    ["a value for a table", "server = 1", ":1: server must be a table, such as [server]"],
    ["a host with a scheme", '[registries."https://x"]', ':1: registries: "https://x" must be a host'],
    ["a handler name with a slash", '[runtimes."../x"]', ':1: runtimes: "../x" must be a handler name'],
    [
      "options of the builtin handler",
      "[runtimes.x]\noptions = { a = 'b' }",
      'runtimes.x.options is not for type "builtin"',
    ],
    ["block devices for another type", "[runtimes.x]\nrootfs = 'block'", 'is for type "shim-v2"'],
    [
      "overlay options of a block device",
      "[runtimes.x]\ntype = 'shim-v2'\npath = '/x'\nrootfs = 'block'\nsnapshot_options = ['volatile']",
      'is not for rootfs "block"',
    ],
    ["a root filesystem too small", "[runtimes.x]\nrootfs_size = '1MiB'", "a size from 16MiB"],
    ["a path as snapshot option", "[runtimes.x]\nsnapshot_options = ['lowerdir=/etc']", "must be a word"],
    ["a platform without architecture", "[runtimes.x]\nplatform = 'linux'", 'such as "linux/arm64"'],
    ["a handler without program", "[runtimes.x]\ntype='oci'", 'runtimes.x.path must be set for type "oci"'],
    ["an unknown default handler", "default_runtime = 'x'", 'default_runtime "x" is not one of builtin'],
    ["a driver of cgroups that nobody knows", "\ncgroup_driver = 'systemctl'", ":2: cgroup_driver"],
    ["broken TOML", "[log]\nlevel = ", ":2: not valid TOML: invalid value"],
    ["a root that a reboot empties", "root = '/run/kobako/r'", "root /run/kobako/r must not be in state"],
    [
      "half a client certificate",
      "[registries.x]\ncert='/c.pem'",
      'registries."x": cert and key go together',
    ],
  ])("refuses %s", (_, text, message) => {
    expect(() => load(text)).toThrow(message);
    expect(() => load(text)).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
  });

  it("is not poisoned by keys of Object's prototype", () => {
    expect(() => load("[__proto__]\nx = 1")).toThrow(/unknown key __proto__/);
    expect(() => load("[runtimes.__proto__]\npath = '/x'")).toThrow(/must be a handler name/);
    expect(() => load("constructor = 1")).toThrow(/unknown key constructor/);
    expect(load("[runtimes.constructor]\n[log]").runtimes.constructor).toMatchObject({ type: "builtin" });
    expect(({} as Record<string, unknown>).path).toBe(undefined);
  });

  it("wants a file that was named, and not the default one", () => {
    expect(() => loadConfig({ file: join(folder, "none.toml") })).toThrow(
      /read the configuration .*none.toml/,
    );
    expect(() => loadConfig({ file: folder })).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
  });

  it("says nothing about a secret that is malformed", () => {
    const text = "[registries.x]\nauth.password = ['s3cret']";
    expect(() => load(text)).toThrow(/:2: registries.x.auth.password must be text in quotes$/);
  });
});

describe("reload", () => {
  it("takes over what can change while running and names what needs a restart", () => {
    const file = write("[log]\nlevel = 'info'\n[registries.a]\nmirrors=['http://x']");
    const before = loadConfig({ file });
    write("root = '/srv/x'\n[log]\nlevel = 'debug'\n[registries.a]\nmirrors=['http://x']");
    const { config, applied, needRestart } = reloadConfig({ file }, before);
    expect(applied).toEqual(["log.level"]);
    expect(needRestart).toEqual(["root"]);
    expect(config.log.level).toBe("debug");
    expect(config.root).toBe(before.root);
    expect(config.registries).toBe(before.registries);
    write("[registries.b]\ninsecure = true");
    expect(reloadConfig({ file }, config).config.registries).toEqual({
      b: expect.objectContaining({ insecure: true }),
    });
  });

  it("keeps the running configuration when the files are broken", () => {
    const file = write("");
    const before = loadConfig({ file });
    write("[log]\nlevle = 'debug'");
    expect(() => reloadConfig({ file }, before)).toThrow(/did you mean level/);
  });
});

describe("print", () => {
  it("gives a file that loads to the same configuration, with origins and without secrets", () => {
    const file = write(
      '[registries."r.example:5000"]\nauth = { username = "u", password = "s3cret" }\n[server]\nsend_limit = "20MiB"',
    );
    const { config, origins } = loadConfigWithOrigins({ file });
    const text = printConfig(config, origins);
    expect(text).toContain(`send_limit = "20MiB" # ${file}:4`);
    expect(text).toContain('root = "/var/lib/kobako" # default');
    expect(text).not.toContain("s3cret");
    expect(JSON.stringify(describeConfig(config))).not.toContain("s3cret");
    const again = loadConfig({ file: write(text, "again.toml") });
    const password = "[secret]";
    const registry = config.registries["r.example:5000"] as Config["registries"][string];
    expect(again).toEqual({
      ...config,
      registries: { "r.example:5000": { ...registry, auth: { ...registry.auth, password } } },
    });
  });

  it("docs/config.md holds the reference that the schema gives: run hack/generate", () => {
    const page = readFileSync(join(import.meta.dirname, "../../docs/config.md"), "utf8");
    expect(page).toContain(`<!-- begin: made by hack/generate -->\n\n${configReference()}\n\n<!-- end -->`);
  });
});
