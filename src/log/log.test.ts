import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { RuntimeError } from "../errors/runtime-error.ts";
import { createLogger } from "./log.ts";

function lines(run: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const out: string[] = [];
  run(createLogger({ level: "info", stream: { write: (text: string) => void out.push(text) } }));
  return out.map((text) => JSON.parse(text) as Record<string, unknown>);
}

describe("the log", () => {
  it("is one JSON object per line with time and the level's name", () => {
    const [line] = lines((log) => log.child({ room: "network" }).info({ id: "x" }, "attached"));
    expect(line).toMatchObject({ level: "info", room: "network", id: "x", msg: "attached" });
    expect(line?.time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  it("shows the causes of an error, its subject, and the stack of what nobody foresaw", () => {
    const cause = new Error("connection refused");
    const [known, bug] = lines((log) => {
      log.warn(
        { error: new RuntimeError("unavailable", "pull x", { subject: { image: "x" }, cause }) },
        "pull",
      );
      log.error({ err: new TypeError("oops") });
    });
    expect(known?.error).toEqual({
      kind: "unavailable",
      message: "pull x: connection refused",
      subject: { image: "x" },
    });
    expect(bug?.err).toMatchObject({
      kind: "internal",
      message: "oops",
      stack: expect.stringContaining("log.test"),
    });
  });

  it("hides what is named like a secret", () => {
    const written = JSON.stringify(
      lines((log) =>
        log.info({ password: "s3cret", auth: { token: "s3cret" }, request: { registryToken: "s3cret" } }),
      ),
    );
    expect(written).not.toContain("s3cret");
  });

  it("changes its level while running", () => {
    const got = lines((log) => {
      log.debug("no");
      log.level = "debug";
      log.debug("yes");
    });
    expect(got.map(({ msg }) => msg)).toEqual(["yes"]);
  });

  it("appends to a file that others cannot read", () => {
    const folder = mkdtempSync(join(tmpdir(), "kobako-log-"));
    const file = join(folder, "k.log");
    closeSync(openSync(file, "a", 0o640));
    createLogger({ level: "info", file }).info("one");
    createLogger({ level: "info", file }).info("two");
    expect(readFileSync(file, "utf8").trim().split("\n")).toHaveLength(2);
    expect(statSync(file).mode & 0o027).toBe(0);
    rmSync(folder, { recursive: true });
  });

  it("loses lines and not the daemon when there is no room", () => {
    const log = createLogger({ level: "info", file: "/dev/full" });
    for (let i = 0; i < 100; i++) log.info({ i }, "line");
    log.error("still here");
  });
});
