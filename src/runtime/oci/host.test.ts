import { describe, expect, it } from "vitest";
import { findHidden, withSystemd } from "./host.ts";

const mount = (point: string, type: string, source: string, options: string) =>
  `30 20 0:26 / ${point} rw,relatime shared:9 - ${type} ${source} ${options}`;
const v2 = mount("/sys/fs/cgroup", "cgroup2", "cgroup2", "rw,nsdelegate");
const beside = mount("/sys/fs/cgroup/unified", "cgroup2", "cgroup2", "rw");
const named = mount("/sys/fs/cgroup/systemd", "cgroup", "cgroup", "rw,xattr,name=systemd");
const memory = mount("/sys/fs/cgroup/memory", "cgroup", "cgroup", "rw,memory");

describe("this host's cgroups and external runtimes", () => {
  it("a version 2 hierarchy beside version 1's is hidden when it has a controller", () => {
    const both = [memory, beside].join("\n");
    expect(findHidden(both, () => "hugetlb")).toBe("/sys/fs/cgroup/unified");
    expect(findHidden(both, () => "")).toBeUndefined();
    expect(findHidden(v2, () => "memory")).toBeUndefined();
    expect(findHidden(memory, () => "memory")).toBeUndefined();
  });

  it.each([
    ["version 2", v2, true],
    ["version 2 with systemd's named hierarchy", [v2, named].join("\n"), true],
    ["version 1", [named, memory].join("\n"), false],
    ["both", [memory, beside].join("\n"), false],
  ])("on %s crun's scopes are systemd's: %s", (_, mountinfo, crun) => {
    const knows = withSystemd(mountinfo);
    expect([knows("crun"), knows("runc"), knows("youki"), knows("other"), knows("runsc")]).toEqual([
      crun,
      true,
      true,
      true,
      false,
    ]);
  });
});
