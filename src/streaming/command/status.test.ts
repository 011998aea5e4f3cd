import { describe, expect, it } from "vitest";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { exitStatus, failureStatus, statusBytes, success } from "./status.ts";

const end = (exitCode: number, signal = 0) => ({ exitCode, signal, timedOut: false });

describe("the status of a command", () => {
  it("is success for exit code 0", () => {
    expect(JSON.parse(statusBytes(exitStatus(end(0)), true).toString())).toEqual({ status: "Success" });
  });

  it("names the exit code in the cause ExitCode, where clients look for it", () => {
    expect(JSON.parse(statusBytes(exitStatus(end(3)), true).toString())).toEqual({
      status: "Failure",
      reason: "NonZeroExitCode",
      message: "command terminated with non-zero exit code: exit code 3",
      details: { causes: [{ reason: "ExitCode", message: "3" }] },
    });
    expect(exitStatus(end(137, 9)).message).toContain("exit code 137 (signal 9)");
  });

  it("is an internal error for a command that could not run, and says why", () => {
    const cause = new Error("ENOENT");
    const status = failureStatus(
      "error executing command in container",
      new RuntimeError("internal", "no sh", { cause }),
    );
    expect(status).toMatchObject({ status: "Failure", reason: "InternalError", code: 500 });
    expect(status.message).toBe(
      "Internal error occurred: error executing command in container: no sh: ENOENT",
    );
    expect(failureStatus("x", new Error("y".repeat(1e6))).message?.length).toBeLessThan(3000);
  });

  it("is a line of text before v4, and nothing for success", () => {
    expect(statusBytes(success, false).toString()).toBe("");
    expect(statusBytes(exitStatus(end(1)), false).toString()).toContain("exit code 1");
  });
});
