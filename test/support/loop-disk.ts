/** A small ext4 of its own, on a loop device: to be filled, without harm to the machine's disk. */
import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "./temp-dir.ts";

export interface LoopDisk extends AsyncDisposable {
  /** The mount point. */
  readonly path: string;
  /** The file that is the disk: a copy is what a power cut would leave. */
  readonly image: string;
  /** Writes until no block is free; returns how to free them again. */
  fill(): () => void;
}

export async function loopDisk(o: { sizeMib: number; inodes?: number }): Promise<LoopDisk> {
  const folder = await tempDir("disk");
  const image = join(folder.path, "image");
  const path = join(folder.path, "mnt");
  const file = openSync(image, "w");
  ftruncateSync(file, o.sizeMib << 20);
  closeSync(file);
  mkdirSync(path);
  execFileSync("mkfs.ext4", ["-q", "-m", "0", ...(o.inodes ? ["-N", String(o.inodes)] : []), image], {
    stdio: "pipe",
  });
  execFileSync("mount", ["-o", "loop", image, path]);
  return {
    path,
    image,
    fill() {
      const ballast = openSync(join(path, "ballast"), "w");
      for (let bytes = 1 << 20; bytes >= 1 << 9; bytes >>= 1) {
        try {
          for (;;) if (writeSync(ballast, Buffer.alloc(bytes)) < bytes) break;
        } catch {
          // full at this size: try smaller pieces
        }
      }
      return () => {
        ftruncateSync(ballast, 0);
        closeSync(ballast);
      };
    },
    async [Symbol.asyncDispose]() {
      execFileSync("umount", ["--lazy", path]);
      await folder[Symbol.asyncDispose]();
    },
  };
}
