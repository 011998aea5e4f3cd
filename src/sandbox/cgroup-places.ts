/**
 * Which cgroup a pod's parts get, by the driver. Paths are those below a hierarchy's root; pure.
 *
 * cgroupfs: folders that we make. systemd: units that systemd makes for us, and nothing beside them: slices for what
 * holds others, a scope for each monitor, pause and container. A scope's path tells its name and slice.
 */
import { basename, dirname } from "node:path";
import { RuntimeError } from "../errors/runtime-error.ts";
import { cgroupParentPath, slicePath } from "./cgroup-parent.ts";

export type CgroupDriver = "cgroupfs" | "systemd";

export interface CgroupPlaces {
  readonly driver: CgroupDriver;
  /** Holds all that has no parent of its own. */
  readonly root: string;
  /** Holds the monitors, and nothing else. */
  readonly monitors: string;
  /** Holds the pods that came without a parent; `podOf` tells whose a child of it is. */
  readonly pods: string;
  podOf(child: string): string;
  /** `short`: the first 16 digits of a sandbox's id. */
  monitor(short: string): string;
  shim(short: string): string;
  pause(parent: string, short: string): string;
  container(parent: string, id: string): string;
  /**
   * CRI's `cgroup_parent`, or the pod's own place where it is "".
   * @throws RuntimeError `invalid-argument` for what is no place of this driver.
   */
  parent(cgroupParent: string, short: string): string;
  /** A container's cgroup as `linux.cgroupsPath` says it. */
  specPath(cgroup: string): string;
}

/** suffix: of the instance, "" or "-1a2b3c4d". */
export function cgroupPlaces(driver: CgroupDriver, suffix: string): CgroupPlaces {
  return driver === "systemd" ? systemdPlaces(`kobako${suffix}`) : cgroupfsPlaces(`/kobako${suffix}`);
}

function cgroupfsPlaces(root: string): CgroupPlaces {
  return {
    driver: "cgroupfs",
    root,
    monitors: `${root}/monitors`,
    pods: `${root}/pods`,
    podOf: (child) => child,
    monitor: () => `${root}/monitors`,
    shim: (short) => `${root}/shim-${short}`,
    pause: (parent, short) => `${parent}/kobako-pause-${short}`,
    container: (parent, id) => `${parent}/${id}`,
    parent: (cgroupParent, short) => cgroupParentPath(cgroupParent, `${root}/pods/${short}`),
    specPath: (cgroup) => cgroup,
  };
}

function systemdPlaces(name: string): CgroupPlaces {
  const slice = (unit: string) => slicePath(`${unit}.slice`);
  const monitors = slice(`${name}-monitors`);
  return {
    driver: "systemd",
    root: slice(name),
    monitors,
    pods: slice(`${name}-pods`),
    podOf: (child) => child.slice(`${name}-pods-`.length, -".slice".length),
    monitor: (short) => `${monitors}/kobako-monitor-${short}.scope`,
    // Beside a shim of another make there is no unit for it: a plain folder, out of the way of the monitors.
    shim: (short) => `${slice(name)}/shim-${short}`,
    pause: (parent, short) => `${parent}/kobako-pause-${short}.scope`,
    container: (parent, id) => `${parent}/kobako-${id}.scope`,
    parent: (cgroupParent, short) => {
      const path = cgroupParentPath(cgroupParent, slice(`${name}-pods-${short}`));
      // Whole, so that the name alone tells systemd the same place.
      if (!path.endsWith(".slice") || slicePath(basename(path)) !== path)
        throw new RuntimeError(
          "invalid-argument",
          `linux.cgroup_parent ${JSON.stringify(cgroupParent.slice(0, 120))} is no slice: cgroup_driver is systemd, ` +
            'expected "a-b.slice" or its path (a kubelet needs cgroupDriver: systemd as well)',
        );
      return path;
    },
    specPath: (cgroup) => {
      const scope = basename(cgroup, ".scope");
      return `${basename(dirname(cgroup))}:kobako:${scope.slice("kobako-".length)}`;
    },
  };
}
