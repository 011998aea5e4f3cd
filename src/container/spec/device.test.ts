import { describe, expect, it } from "vitest";
import type { DeviceMapping } from "../config.ts";
import type { DeviceNode } from "./facts.ts";
import { specOf } from "./spec.fixture.ts";

const invalid = (part: RegExp) =>
  expect.objectContaining({ kind: "invalid-argument", message: expect.stringMatching(part) });
const node = (type: DeviceNode["type"], path = "/dev/x"): DeviceNode => ({
  path,
  type,
  major: 10,
  minor: 200,
  mode: 0o100666,
  uid: 1,
  gid: 2,
});
const asked = (permissions = "rw", containerPath = "/dev/y"): DeviceMapping => ({
  containerPath,
  hostPath: "/dev/x",
  permissions,
});
const linux = (devices: DeviceMapping[], found: DeviceNode | undefined) =>
  specOf({ container: { devices }, facts: { devices: new Map(found ? [["/dev/x", found]] : []) } }).spec
    .linux;

describe("devices (K4)", () => {
  it("by default may be made but not opened, but for those of every container", () => {
    const rules = specOf().spec.linux.resources.devices ?? [];
    expect(rules[0]).toEqual({ allow: false, access: "rwm" });
    expect(rules.slice(1, 3)).toEqual([
      { allow: true, type: "c", access: "m" },
      { allow: true, type: "b", access: "m" },
    ]);
    const open = rules
      .slice(3)
      .map(({ type, major, minor, access }) => `${type} ${major}:${minor ?? "*"} ${access}`);
    expect(open).toEqual([
      "c 1:3 rwm",
      "c 1:5 rwm",
      "c 1:7 rwm",
      "c 1:8 rwm",
      "c 1:9 rwm",
      "c 5:0 rwm",
      "c 5:1 rwm",
      "c 5:2 rwm",
      "c 136:* rwm",
    ]);
  });

  it("of the request are made and may be used as far as asked", () => {
    const { devices, resources } = linux([asked("rw")], node("c"));
    expect(devices).toEqual([
      { path: "/dev/y", type: "c", major: 10, minor: 200, fileMode: 0o666, uid: 1, gid: 2 },
    ]);
    expect(resources.devices?.at(-1)).toEqual({
      allow: true,
      type: "c",
      major: 10,
      minor: 200,
      access: "rw",
    });
  });

  it("have the host's path when no other is given", () => {
    expect(linux([asked("r", "")], node("b")).devices?.[0]?.path).toBe("/dev/x");
  });

  it.each(["", "rwmx", "rr", "R", "rw m", "rwm\n"])("are refused with permissions %j", (permissions) => {
    expect(() => linux([asked(permissions)], node("c"))).toThrow(invalid(/permissions/));
  });

  it.each([
    ["link", /symbolic link: name the device/],
    ["folder", /is a folder/],
    ["other", /is no device/],
  ] as const)("are refused when a %s stands there", (type, part) => {
    expect(() => linux([asked()], node(type))).toThrow(invalid(part));
  });

  it("are refused when nothing stands there", () => {
    expect(() => linux([asked()], undefined)).toThrow(invalid(/does not exist/));
  });

  it("are refused at a path that is not absolute", () => {
    expect(() => linux([asked("r", "dev/x")], node("c"))).toThrow(invalid(/not absolute/));
  });
});
