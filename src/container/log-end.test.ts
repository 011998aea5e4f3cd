import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { endLog } from "./log-end.ts";

const folder = mkdtempSync(join(tmpdir(), "kobako-log-end-"));
const path = join(folder, "0.log");
afterAll(() => rmSync(folder, { recursive: true }));

const head = "2026-01-02T15:04:05.123456789Z stdout F ";
const whole = `${head}whole\n`;

async function mended(text: string): Promise<string> {
  writeFileSync(path, text);
  const changed = await endLog(path);
  const now = readFileSync(path, "utf8");
  expect(changed).toBe(now !== text);
  return now;
}

describe("the end of a log whose monitor was killed", () => {
  it.each(["", whole, `${whole}${whole}`, `${whole}something else`, `${"x".repeat(100_000)}`])(
    "stays as it is when it is whole, or not ours: %#",
    async (text) => {
      expect(await mended(text)).toBe(text);
    },
  );

  it.each([whole, ""])("of half a line becomes a part, with all of its text", async (before) => {
    const parted = head.replace(" F ", " P ");
    expect(await mended(`${before}${head}half`)).toBe(`${before}${parted}half\n`);
    expect(await mended(`${before}${parted}${"y".repeat(16_000)}`)).toBe(
      `${before}${parted}${"y".repeat(16_000)}\n`,
    );
  });

  it("without text of the line is cut off, wherever that was", async () => {
    for (let length = 1; length <= head.length; length++)
      expect(await mended(`${whole}${head.slice(0, length)}`), String(length)).toBe(whole);
  });

  it("is not looked for behind links, and may be missing", async () => {
    writeFileSync(path, `${head}half`);
    const link = join(folder, "link.log");
    symlinkSync(path, link);
    expect([await endLog(link), await endLog(join(folder, "none"))]).toEqual([false, false]);
    expect(readFileSync(path, "utf8")).toBe(`${head}half`);
  });
});
