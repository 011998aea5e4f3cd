import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseSince } from "./commands/logs.ts";
import { readLog } from "./log-file.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kobako-log-"));
  path = join(folder, "c_0.log");
});
afterEach(() => rmSync(folder, { recursive: true }));

const signal = () => AbortSignal.timeout(20_000);
const line = (n: number, text: string, tag = "F", stream = "stdout") =>
  `2026-01-02T15:04:${String(n % 60).padStart(2, "0")}.123456789Z ${stream} ${tag} ${text}\n`;

async function texts(o: Parameters<typeof readLog>[1] = {}): Promise<string> {
  let all = "";
  for await (const entry of readLog(path, o, signal())) all += entry.text.toString("utf8");
  return all;
}

describe("a log file", () => {
  it("joins the parts of a line and keeps empty lines", async () => {
    writeFileSync(
      path,
      line(1, "a", "P") + line(1, "b", "P") + line(1, "c") + line(2, "") + line(3, "x y  z "),
    );
    expect(await texts()).toBe("abc\n\nx y  z \n");
  });

  it("shows what is not of the format instead of losing it", async () => {
    writeFileSync(path, `${line(1, "a")}torn li`);
    expect(await texts()).toBe("a\ntorn li");
  });

  it("tells the streams apart", async () => {
    writeFileSync(path, line(1, "out") + line(2, "err", "F", "stderr"));
    const streams: string[] = [];
    for await (const entry of readLog(path, {}, signal())) streams.push(entry.stream);
    expect(streams).toEqual(["stdout", "stderr"]);
  });

  it.each([
    [0, ""],
    [1, "p1p2\n"],
    [2, "3\np1p2\n"],
    [4, "1\n2\n3\np1p2\n"],
    [9, "1\n2\n3\np1p2\n"],
  ])("--tail %i counts whole lines", async (tailLines, expected) => {
    writeFileSync(path, line(1, "1") + line(2, "2") + line(3, "3") + line(4, "p1", "P") + line(4, "p2"));
    expect(await texts({ tailLines })).toBe(expected);
  });

  it("--tail finds its place over many blocks", async () => {
    writeFileSync(
      path,
      Array.from({ length: 20_000 }, (_, i) => line(i, `${i} ${"x".repeat(i % 200)}`)).join(""),
    );
    for (const tailLines of [1, 7, 777, 19_999, 20_000, 30_000]) {
      const got = (await texts({ tailLines })).split("\n");
      expect(got.length - 1).toBe(Math.min(tailLines, 20_000));
      expect(got.at(-2)).toMatch(/^19999 /);
      expect(got[0]).toMatch(new RegExp(`^${20_000 - Math.min(tailLines, 20_000)} `));
    }
  });

  it("--since leaves older lines out", async () => {
    writeFileSync(path, line(1, "1") + line(2, "2") + line(3, "3"));
    expect(await texts({ sinceMs: Date.parse("2026-01-02T15:04:02Z") })).toBe("2\n3\n");
    expect(parseSince("1h30m", 10_000_000)).toBe(4_600_000);
    expect(() => parseSince("soon", 0)).toThrow(/--since soon/);
  });

  it("follows over rotation without losing or repeating a line, and ends with the container", async () => {
    writeFileSync(path, line(0, "0"));
    let ended = false;
    let got = "";
    const reading = (async () => {
      for await (const entry of readLog(path, { follow: { ended: async () => ended } }, signal())) {
        got += entry.text.toString("utf8");
        const last = Number(got.trim().split("\n").at(-1));
        if (got.endsWith("\n") && last < 30) {
          // The writer goes on only when the reader has seen the last line: every third line after a rotation.
          if (last % 3 === 0) {
            appendFileSync(path, line(last, `${last}.5`));
            renameSync(path, `${path}.${last}`);
            writeFileSync(path, line(last + 1, `${last + 1}`));
          } else if (Number.isInteger(last)) appendFileSync(path, line(last + 1, `${last + 1}`));
        } else if (last === 30) ended = true;
      }
    })();
    await reading;
    const expected = Array.from({ length: 31 }, (_, i) =>
      i % 3 === 0 && i < 30 ? [`${i}`, `${i}.5`] : [`${i}`],
    ).flat();
    expect(got.trim().split("\n")).toEqual(expected);
  });

  it("ends at once when it is told to", async () => {
    writeFileSync(path, line(0, "0"));
    const stop = new AbortController();
    await expect(async () => {
      for await (const _ of readLog(path, { follow: { ended: async () => false } }, stop.signal))
        stop.abort();
    }).rejects.toThrow(/abort/i);
  });
});
