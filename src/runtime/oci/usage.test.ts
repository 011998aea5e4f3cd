import { describe, expect, it } from "vitest";
import { parseStats } from "./usage.ts";

describe("the statistics of runsc", () => {
  it("are counted as they are said, and what is left out is none", () => {
    const said = `{"type":"stats","id":"a","data":{"cpu":{"usage":{"total":1204476854}},"memory":{"usage":{"limit":0,"usage":42315776,"failcnt":0},"swap":{"limit":0,"failcnt":0}},"pids":{"current":3},"network_interfaces":null}}\n`;
    expect(parseStats(said)).toMatchObject({
      cpuUsageNs: 1204476854n,
      memoryUsageBytes: 42315776n,
      memoryLimitBytes: undefined,
      processes: 3n,
    });
    expect(parseStats(`{"type":"stats","id":"a","data":{"cpu":{"usage":{}}}}`)).toMatchObject({
      cpuUsageNs: 0n,
      memoryUsageBytes: 0n,
      processes: 0n,
    });
  });

  it.each([
    ["", "no JSON"],
    ["[]", "are none"],
    [`{"type":"stats"}`, "are none"],
    [`{"type":"oom","data":{}}`, "are none"],
    [`{"type":"stats","data":{"cpu":{"usage":{"total":-1}}}}`, '"total" that is no count'],
    [`{"type":"stats","data":{"pids":{"current":"1"}}}`, '"current" that is no count'],
    [`{"type":"stats","data":{"memory":{"usage":{"usage":1e999}}}}`, '"usage" that is no count'],
  ])("that are %j are refused", (said, why) => {
    expect(() => parseStats(said)).toThrow(why);
  });
});
