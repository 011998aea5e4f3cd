// Exit code 0: node_modules holds exactly what package-lock.json names for this machine. Plain JavaScript
// without imports of the project, because it runs before anything is installed.
import { readFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const packages = (file) => JSON.parse(readFileSync(new URL(file, root), "utf8")).packages;
const fits = (list, own) => list === undefined || list.includes(own);
// An optional package that names a platform is a native part of its parent: needed where the platform is ours.
const needed = ({ optional, os, cpu, libc }) =>
  !optional ||
  (cpu !== undefined && fits(os, process.platform) && fits(cpu, process.arch) && fits(libc, "glibc"));
try {
  const wanted = packages("package-lock.json");
  const present = packages("node_modules/.package-lock.json");
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const found = present[path];
    if (found === undefined && !needed(entry)) continue;
    if (found?.version !== entry.version || found?.integrity !== entry.integrity) process.exit(1);
  }
} catch {
  process.exit(1);
}
