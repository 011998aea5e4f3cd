import { RuntimeError } from "../errors/runtime-error.ts";

const maxPathBytes = 2048;

/**
 * The cgroup that a pod's containers go below, as a path from a hierarchy's root.
 * Takes both forms of CRI's `cgroup_parent`: a cgroupfs path, and a systemd slice, which stands for
 * the path systemd gives it (`a-b.slice` is /a.slice/a-b.slice, systemd.slice(5)).
 * `fallback` is used for "".
 * @throws RuntimeError `invalid-argument` for "..", odd characters and names that are too long.
 */
export function cgroupParentPath(cgroupParent: string, fallback: string): string {
  if (cgroupParent === "") return fallback;
  const shown = JSON.stringify(cgroupParent.slice(0, 120));
  if (Buffer.byteLength(cgroupParent) > maxPathBytes) {
    throw new RuntimeError(
      "invalid-argument",
      `linux.cgroup_parent ${shown}…: at most ${maxPathBytes} bytes are taken`,
    );
  }
  if (
    /[\p{Cc} ]/u.test(cgroupParent) ||
    cgroupParent.split("/").some((part) => part === ".." || part === ".")
  ) {
    throw new RuntimeError(
      "invalid-argument",
      `linux.cgroup_parent ${shown}: expected a cgroup path or a slice, without "..", spaces or control characters`,
    );
  }
  const parts = cgroupParent.split("/").filter((part) => part !== "");
  const last = parts.at(-1);
  if (last === undefined) return fallback;
  if (parts.length === 1 && last.endsWith(".slice")) return slicePath(last, shown);
  return `/${parts.join("/")}`;
}

/** Where systemd puts a slice. @throws RuntimeError `invalid-argument` for what is no name of one. */
export function slicePath(slice: string, shown = JSON.stringify(slice)): string {
  const name = slice.slice(0, -".slice".length);
  if (name === "-") return "/";
  const steps = name.split("-");
  if (steps.includes(""))
    throw new RuntimeError(
      "invalid-argument",
      `linux.cgroup_parent ${shown} is not a slice name (systemd.slice(5))`,
    );
  return steps.map((_step, i) => `/${steps.slice(0, i + 1).join("-")}.slice`).join("");
}
