import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { RuntimeError } from "../errors/runtime-error.ts";
import { grpcStatus, statusCode } from "./grpc-status.ts";

describe("gRPC statuses", () => {
  it("have the protocol's numbers", () => {
    const published = Object.fromEntries(
      Object.entries(status).filter(([name]) => Number.isNaN(Number(name))),
    );
    expect(statusCode).toEqual(published);
  });

  it.each([
    [new RuntimeError("not-found", "no such thing"), "NOT_FOUND", "no such thing"],
    [
      new RuntimeError("unavailable", "ask the registry", { cause: new Error("connect refused") }),
      "UNAVAILABLE",
      "ask the registry: connect refused",
    ],
    [new TypeError("a bug"), "INTERNAL", "a bug"],
    [
      Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" }),
      "RESOURCE_EXHAUSTED",
      "ENOSPC: no space left on device",
    ],
    ["thrown text", "INTERNAL", "thrown text"],
    [new DOMException("The operation was aborted", "AbortError"), "CANCELLED", "The operation was aborted"],
    [
      new DOMException("The operation timed out", "TimeoutError"),
      "DEADLINE_EXCEEDED",
      "The operation timed out",
    ],
    [undefined, "INTERNAL", ""],
  ])("of an error: %s", (error, name, details) => {
    expect(grpcStatus(error)).toEqual({ name, code: statusCode[name as keyof typeof statusCode], details });
  });

  it("tells why the signal was aborted when the abort comes back", () => {
    const late = AbortSignal.abort(new RuntimeError("deadline-exceeded", "the caller's deadline is over"));
    const abort = new DOMException("aborted", "AbortError");
    expect(grpcStatus(abort, late).name).toBe("DEADLINE_EXCEEDED");
    // An error of its own is told as it is.
    expect(grpcStatus(new RuntimeError("not-found", "x"), late).name).toBe("NOT_FOUND");
  });
});
