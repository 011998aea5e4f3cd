import { describe, expect, it } from "vitest";
import { cgroupPlaces } from "./cgroup-places.ts";

describe("cgroupfs", () => {
  const places = cgroupPlaces("cgroupfs", "-1a2b3c4d");
  it("has everything below one folder, or below the parent that was asked for", () => {
    expect(places.parent("", "p")).toBe("/kobako-1a2b3c4d/pods/p");
    expect(places.parent("/kubepods/pod1", "p")).toBe("/kubepods/pod1");
    expect(places.parent("a-b.slice", "p")).toBe("/a.slice/a-b.slice");
    expect(places.monitor("p")).toBe(places.monitors);
    expect(places.container("/kubepods/pod1", "c")).toBe("/kubepods/pod1/c");
    expect(places.specPath("/kubepods/pod1/c")).toBe("/kubepods/pod1/c");
  });
});

describe("systemd", () => {
  const places = cgroupPlaces("systemd", "");
  const parent = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice";

  it("names slices and scopes so that each path is the one that systemd gives", () => {
    expect(places.root).toBe("/kobako.slice");
    expect(places.monitor("p")).toBe("/kobako.slice/kobako-monitors.slice/kobako-monitor-p.scope");
    expect(places.parent("", "p")).toBe("/kobako.slice/kobako-pods.slice/kobako-pods-p.slice");
    expect(places.podOf("kobako-pods-p.slice")).toBe("p");
    expect(places.pause(parent, "p")).toBe(`${parent}/kobako-pause-p.scope`);
    expect(cgroupPlaces("systemd", "-12").root).toBe("/kobako.slice/kobako-12.slice");
  });

  it("takes a slice by name or by path, and tells runtimes slice, prefix and name", () => {
    expect(places.parent(parent, "p")).toBe(parent);
    expect(places.parent("kubepods-burstable-pod1_2.slice", "p")).toBe(parent);
    const cgroup = places.container(parent, "c1");
    expect(cgroup).toBe(`${parent}/kobako-c1.scope`);
    expect(places.specPath(cgroup)).toBe("kubepods-burstable-pod1_2.slice:kobako:c1");
  });

  it.each(["/kubepods/pod1", "/a/b.slice", "/a.slice/b.slice", "/a.slice/a-b.slice/c"])(
    "refuses %s: no slice of systemd's is there",
    (path) => expect(() => places.parent(path, "p")).toThrow(/is no slice: cgroup_driver is systemd/),
  );
});
