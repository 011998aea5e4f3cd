import { expect, it } from "vitest";
import { cgroupParentPath } from "./cgroup-parent.ts";

it.each([
  ["", "/kobako/pods/x"],
  ["/", "/kobako/pods/x"],
  ["/kubepods/burstable/pod1", "/kubepods/burstable/pod1"],
  ["kubepods//pod1/", "/kubepods/pod1"],
  [
    "kubepods-burstable-pod_1.slice",
    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod_1.slice",
  ],
  ["/kubepods.slice/kubepods-pod1.slice", "/kubepods.slice/kubepods-pod1.slice"],
])("cgroup_parent %j is %s", (given, path) => expect(cgroupParentPath(given, "/kobako/pods/x")).toBe(path));

it.each(["../../x", "/a/../b", "/a b", "/a\nb", `/${"x".repeat(5000)}`, "a--b.slice", "/./a"])(
  "cgroup_parent %j is refused",
  (given) => {
    expect(() => cgroupParentPath(given, "/x")).toThrow(
      expect.objectContaining({ kind: "invalid-argument" }),
    );
  },
);
