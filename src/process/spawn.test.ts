import { describe, expect, it } from "vitest";
import { closeSync, openSync, readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { launch } from "./spawn.ts";

const signal = () => AbortSignal.timeout(20_000);

/** Gone, or a zombie until its new parent reaps it. */
function isDead(pid: string): boolean {
  try {
    const state = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0];
    return state === "Z" || state === "X";
  } catch {
    return true;
  }
}

describe("launch", () => {
  it("kills the whole group when the caller gives up", async () => {
    const abort = new AbortController();
    const child = await launch("/bin/sh", ["-c", "sleep 60 & echo $!; wait"], {}, abort.signal);
    const [first] = await child.stdout.take(1).toArray();
    abort.abort();
    await expect(child.ended).rejects.toMatchObject({ kind: "cancelled" });
    await expect.poll(() => isDead(String(first).trim())).toBe(true);
    await expect(launch("/bin/true", [], {}, abort.signal)).rejects.toMatchObject({ kind: "cancelled" });
  });

  it("hands over the descriptors named, and no others", async () => {
    const fd = openSync("/etc/hostname", "r");
    try {
      const child = await launch("/bin/sh", ["-c", "ls /proc/$$/fd; cat <&3"], { fds: [fd] }, signal());
      const output = await text(child.stdout);
      const [listed, content] = [/^(\d+\n)+/.exec(output)?.[0] ?? "", readFileSync(fd, "utf8")];
      await child.ended;
      // Beyond 15: what the test's own parent left open without close-on-exec.
      expect(listed.split("\n").filter((n) => n !== "" && Number(n) < 16)).toEqual(["0", "1", "2", "3"]);
      expect(content).toBe("");
    } finally {
      closeSync(fd);
    }
  });
});
