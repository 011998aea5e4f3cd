import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findPlugin, loadNetworkList, missingPlugins, parseNetworkList, signature } from "./conflist.ts";

const list = (more: object = {}, plugin: object = {}) =>
  JSON.stringify({ cniVersion: "1.0.0", name: "n", plugins: [{ type: "bridge", ...plugin }], ...more });
const parse = (text: string) => parseNetworkList(text, "/etc/cni/net.d/10.conflist");

describe("a network list", () => {
  it("keeps each plugin's object as it stands, and the capabilities that are on", () => {
    const parsed = parse(
      list({}, { mtu: 1400, capabilities: { portMappings: true, bandwidth: false, ips: 1 } }),
    );
    expect(parsed).toMatchObject({ name: "n", cniVersion: "1.0.0", disableCheck: false });
    expect(parsed.plugins[0]).toMatchObject({
      type: "bridge",
      capabilities: ["portMappings"],
      conf: { mtu: 1400 },
    });
  });

  it("of a single plugin is a list of one", () => {
    const parsed = parse('{"cniVersion":"0.3.1","name":"single","type":"macvlan","master":"eth0"}');
    expect(parsed.plugins).toMatchObject([{ type: "macvlan", conf: { master: "eth0" } }]);
  });

  it("uses the newest version that both sides know", () => {
    expect(parse(list({ cniVersion: "0.4.0", cniVersions: ["0.3.1", "1.1.0", "9.0.0"] })).cniVersion).toBe(
      "1.1.0",
    );
  });

  it.each([
    ["no JSON", "{", "is not valid JSON"],
    ["no object", "[]", "is not a JSON object"],
    ["no version", '{"name":"n","type":"x"}', "cniVersion must be one of"],
    ["an old version", list({ cniVersion: "0.1.0" }), "not 0.1.0"],
    ["no name", list({ name: "" }), "name must be a plain network name"],
    ["a name that climbs", list({ name: "../n" }), 'not "../n"'],
    ["no plugins", list({ plugins: [] }), "plugins must not be empty"],
    ["plugins of another type", list({ plugins: {} }), "plugins must be an array"],
    ["a plugin that is no object", list({ plugins: [7] }), "plugins[0] must be an object"],
    [
      "a plugin with a path (N4)",
      list({}, { type: "../../bin/sh" }),
      'type must be a plain plugin name, not "../../bin/sh"',
    ],
    ["an absolute plugin (N4)", list({}, { type: "/bin/sh" }), "type must be a plain plugin name"],
    ["a plugin without a name (N4)", list({}, { type: "" }), 'not ""'],
    ["a hidden plugin (N4)", list({}, { type: ".." }), 'not ".."'],
    [
      "an address plugin with a path (N4)",
      list({}, { ipam: { type: "../x" } }),
      "ipam.type must be a plain plugin name",
    ],
  ])("with %s is refused, naming the file", (_, text, words) => {
    expect(() => parse(text)).toThrow(words);
    expect(() => parse(text)).toThrow("/etc/cni/net.d/10.conflist");
  });

  it("is not poisoned by keys of Object's prototype", () => {
    const parsed = parse(
      '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"bridge","__proto__":{"capabilities":{"x":true}}}]}',
    );
    expect(parsed.plugins[0]?.capabilities).toEqual([]);
    expect(({} as Record<string, unknown>).capabilities).toBe(undefined);
    expect(() => parse('{"cniVersion":"1.0.0","name":"n","__proto__":{"plugins":[]}}')).toThrow("type");
  });
});

describe("folders", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kobako-cni-"));
    for (const name of ["a", "b", "bin"]) mkdirSync(join(folder, name));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const dirs = () => [join(folder, "a"), join(folder, "missing"), join(folder, "b")];

  it("are read in order, files by name, the first valid one is used and the others before it are named", () => {
    write("b/00.conflist", list({ name: "last" }));
    expect(loadNetworkList(dirs()).list?.name).toBe("last");
    write("a/20.conf", '{"cniVersion":"1.0.0","name":"second","type":"x"}');
    write("a/10.conflist", "{");
    write("a/05.txt", list({ name: "not read" }));
    mkdirSync(join(folder, "a/07.json"));
    const loaded = loadNetworkList(dirs());
    expect(loaded.list?.name).toBe("second");
    expect(loaded.problems).toEqual([
      expect.stringContaining("07.json"),
      expect.stringContaining("10.conflist is not valid JSON"),
    ]);
  });

  it("have a signature that changes with every edit", () => {
    const seen = [signature(dirs())];
    write("a/10.conflist", list());
    seen.push(signature(dirs()));
    write("a/10.conflist", list({ name: "m" })); // the same length
    seen.push(signature(dirs()));
    write("a/new", list({ name: "m" }));
    renameSync(join(folder, "a/new"), join(folder, "a/10.conflist"));
    seen.push(signature(dirs()));
    rmSync(join(folder, "a/10.conflist"));
    seen.push(signature(dirs()));
    expect(new Set(seen.slice(0, 4)).size).toBe(4);
    expect(seen[4]).toBe(seen[0]);
  });

  it("give only executable files as plugins", () => {
    const bin = [join(folder, "bin")];
    const wanted = parse(list({}, { type: "one", ipam: { type: "two" } }));
    expect(missingPlugins(wanted, bin)).toEqual(["one", "two"]);
    write("bin/one", "#!/bin/sh\n");
    mkdirSync(join(folder, "bin/two"));
    expect(missingPlugins(wanted, bin)).toEqual(["one", "two"]);
    chmodSync(join(folder, "bin/one"), 0o755);
    expect(missingPlugins(wanted, bin)).toEqual(["two"]);
    expect(findPlugin("../bin/one", bin)).toBe(undefined);
  });
});
