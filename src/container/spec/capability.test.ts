import { describe, expect, it } from "vitest";
import { capabilityNames, capabilitySets, defaultCapabilities } from "./capability.ts";

const sets = (change: Partial<Parameters<typeof capabilitySets>[0]> = {}, held = capabilityNames) =>
  capabilitySets({ add: [], drop: [], addAmbient: [], privileged: false, ...change }, held);

describe("capabilitySets", () => {
  it("knows all 41 of Linux 5.9 and later, in their order", () => {
    expect(capabilityNames).toHaveLength(41);
    expect(capabilityNames.indexOf("CAP_SYS_ADMIN")).toBe(21);
    expect(capabilityNames.indexOf("CAP_CHECKPOINT_RESTORE")).toBe(40);
    for (const name of defaultCapabilities) expect(capabilityNames).toContain(name);
  });

  it("gives the default set, inheritable and ambient empty (I4, I5)", () => {
    const { bounding, effective, permitted, inheritable, ambient } = sets();
    for (const set of [bounding, effective, permitted]) expect(set).toEqual(defaultCapabilities);
    expect([inheritable, ambient]).toEqual([[], []]);
  });

  it.each([
    [
      "adds a name, with or without prefix, in any case",
      { add: ["NET_ADMIN", "cap_sys_time"] },
      [...defaultCapabilities, "CAP_NET_ADMIN", "CAP_SYS_TIME"],
    ],
    [
      "drops a name",
      { drop: ["MKNOD", "CAP_NET_RAW"] },
      defaultCapabilities.filter((name) => !/MKNOD|NET_RAW/.test(name)),
    ],
    ["drops all", { drop: ["ALL"] }, []],
    ["drops all and adds one", { drop: ["all"], add: ["CHOWN"] }, ["CAP_CHOWN"]],
    ["adds all", { add: ["ALL"] }, [...capabilityNames]],
    [
      "adds all and drops one",
      { add: ["ALL"], drop: ["SYS_ADMIN"] },
      capabilityNames.filter((name) => name !== "CAP_SYS_ADMIN"),
    ],
    ["drops what is added too", { add: ["SYS_ADMIN"], drop: ["SYS_ADMIN"] }, [...defaultCapabilities]],
    ["adds and drops all", { add: ["ALL"], drop: ["ALL"] }, []],
    ["gives a privileged container everything", { privileged: true, drop: ["ALL"] }, [...capabilityNames]],
  ])("%s", (_, change, expected) => {
    const { bounding, effective, permitted, inheritable } = sets(change);
    expect(bounding).toEqual(expected);
    expect(effective).toEqual(expected);
    expect(permitted).toEqual(expected);
    expect(inheritable).toEqual([]);
  });

  it("gives ambient capabilities only when asked, and then inheritable ones for them", () => {
    expect(sets({ add: ["NET_ADMIN"], addAmbient: ["NET_ADMIN"] })).toMatchObject({
      ambient: ["CAP_NET_ADMIN"],
      inheritable: ["CAP_NET_ADMIN"],
    });
    expect(() => sets({ addAmbient: ["SYS_ADMIN"] })).toThrow(
      expect.objectContaining({ kind: "invalid-argument" }),
    );
  });

  it("refuses an unknown name in either list", () => {
    for (const name of ["", "NET_ADMINS", "CAP_CAP_CHOWN", "*", "CHOWN ", "0"]) {
      for (const change of [{ add: [name] }, { drop: [name] }, { addAmbient: [name] }]) {
        expect(() => sets(change)).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
      }
    }
  });

  it("cuts what nobody named to what the daemon holds, and fails for a name that it can't give", () => {
    const held = capabilityNames.filter((name) => name !== "CAP_MKNOD" && name !== "CAP_SYS_RESOURCE");
    expect(sets({}, held).bounding).toEqual(defaultCapabilities.filter((name) => name !== "CAP_MKNOD"));
    expect(sets({ add: ["ALL"] }, held).bounding).toEqual(held);
    expect(sets({ privileged: true }, held).bounding).toEqual(held);
    expect(() => sets({ add: ["SYS_RESOURCE"] }, held)).toThrow(
      expect.objectContaining({ kind: "failed-precondition" }),
    );
  });
});
