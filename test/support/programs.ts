/** Small static programs for containers, compiled from test/fixtures/programs by Debian's musl-gcc. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const cache = new Map<string, Uint8Array>();

/** The compiled test/fixtures/programs/NAME.c. */
export function program(name: string): Uint8Array {
  let bytes = cache.get(name);
  if (bytes === undefined) {
    const folder = mkdtempSync(join(tmpdir(), "kobako-program-"));
    try {
      const source = join(import.meta.dirname, "../fixtures/programs", `${name}.c`);
      const out = join(folder, name);
      execFileSync("musl-gcc", ["-static", "-O1", "-Wall", "-o", out, source], { stdio: "pipe" });
      bytes = readFileSync(out);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    cache.set(name, bytes);
  }
  return bytes;
}
