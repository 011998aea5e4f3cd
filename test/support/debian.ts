/** Files of Debian packages that are not installed: downloaded and unpacked by their own tools into the cache. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const cache = join(process.env.KOBAKO_CACHE ?? "/var/cache/kobako", "debian");

/** The folder with the files of the package NAME, in the version that apt would install now. */
export function debianPackage(name: string): string {
  const shown = execFileSync("apt-cache", ["show", "--no-all-versions", name], { encoding: "utf8" });
  const version = /^Version: (\S+)$/m.exec(shown)?.[1];
  if (version === undefined) throw new Error(`apt knows no package ${name}`);
  const folder = join(cache, `${name}_${version.replaceAll(":", "%3a")}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), "kobako-debian-"));
  try {
    chmodSync(work, 0o777); // apt downloads as a user of its own
    execFileSync("apt-get", ["download", "-qq", `${name}=${version}`], { cwd: work, stdio: "pipe" });
    const file = readdirSync(work).find((entry) => entry.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get download ${name} left no package`);
    execFileSync("dpkg", ["-x", join(work, file), `${folder}.new`], { stdio: "pipe" });
    renameSync(`${folder}.new`, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}
