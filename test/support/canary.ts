/**
 * A tree outside of every root with known names, modes, owners, times, xattrs and contents. It holds when
 * a full listing before and after is equal, and nothing new stands beside it (security bar, "The canary").
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type TempDir, tempDir } from "./temp-dir.ts";

export interface Canary extends AsyncDisposable {
  /** Absolute; what an attack aims at. */
  readonly path: string;
  /** The listing now. Equal to `before` as long as it holds. */
  listing(): string[];
  readonly before: readonly string[];
}

export async function makeCanary(): Promise<Canary> {
  const dir: TempDir = await tempDir("canary");
  const path = join(dir.path, "canary");
  mkdirSync(join(path, "etc"), { recursive: true });
  for (const [name, mode] of [
    ["etc/passwd", 0o644],
    ["etc/shadow", 0o600],
    ["setuid", 0o4755],
  ] as const) {
    writeFileSync(join(path, name), `canary ${name}\n`);
    chmodSync(join(path, name), mode);
  }
  symlinkSync("etc/passwd", join(path, "link"));
  execFileSync("mkfifo", ["-m", "0640", join(path, "fifo")]);
  for (const name of ["etc/passwd", "etc/shadow", "setuid", "etc", "."])
    utimesSync(join(path, name), 1_000_000_000, 1_000_000_000);
  const listing = () => walk(dir.path, "");
  return { path, before: listing(), listing, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

function walk(root: string, name: string): string[] {
  const path = join(root, name);
  const s = lstatSync(path, { bigint: true });
  const content = s.isFile()
    ? createHash("sha256").update(readFileSync(path)).digest("hex")
    : s.isSymbolicLink()
      ? readlinkSync(path)
      : "";
  // The folder around the canary: whatever is made beside it shows as a name.
  const time = name === "" ? "" : s.mtimeNs;
  const line = `${name} ${s.mode.toString(8)} ${s.uid}:${s.gid} ${s.nlink} ${time} ${content}`;
  return s.isDirectory()
    ? [
        line,
        ...readdirSync(path)
          .sort()
          .flatMap((child) => walk(root, join(name, child))),
      ]
    : [line];
}
