// Exit code 0: node_modules holds exactly what package-lock.json names. Plain JavaScript without
// imports of the project, because it runs before anything is installed.
import { readFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const packages = (file) => JSON.parse(readFileSync(new URL(file, root), "utf8")).packages;
try {
  const wanted = packages("package-lock.json");
  const present = packages("node_modules/.package-lock.json");
  for (const [path, { version, integrity, optional }] of Object.entries(wanted)) {
    if (path === "") continue;
    const found = present[path];
    if (found === undefined && optional) continue; // another platform's
    if (found?.version !== version || found?.integrity !== integrity) process.exit(1);
  }
} catch {
  process.exit(1);
}
