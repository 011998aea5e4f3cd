import { describe, expect, it } from "vitest";
import { connectionFailure, errorBodyText, statusFailure } from "./failure.ts";

function failed(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}

describe("a registry that is not there", () => {
  it("is named with host and errno", () => {
    const error = connectionFailure(
      "https://a.b:5000",
      failed("ECONNREFUSED", "connect ECONNREFUSED 10.0.0.1:5000"),
    );
    expect(error).toMatchObject({ kind: "unavailable", retry: "connect" });
    expect(error.message).toBe(
      "registry https://a.b:5000 is not reachable: connect ECONNREFUSED 10.0.0.1:5000",
    );
  });

  it("tells all addresses that were tried", () => {
    const error = connectionFailure(
      "https://a.b",
      new AggregateError([
        failed("ETIMEDOUT", "connect ETIMEDOUT ::1:443"),
        failed("ECONNREFUSED", "connect ECONNREFUSED 1.2.3.4:443"),
      ]),
    );
    expect(error.message).toMatch(/ETIMEDOUT ::1:443, connect ECONNREFUSED 1.2.3.4:443$/);
  });

  it.each([
    ["CERT_NOT_YET_VALID", "clock"],
    ["CERT_HAS_EXPIRED", "renew"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", 'as ca in [registries."a.b"]'],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", 'as ca in [registries."a.b"]'],
    ["EPROTO", 'set insecure in [registries."a.b"]'],
  ])("%s comes with a remedy and is not hammered", (code, remedy) => {
    const error = connectionFailure("https://a.b", failed(code));
    expect(error.message).toContain(remedy);
    expect(error.retry).not.toBe("later");
  });
});

describe("an answer that is no success", () => {
  const context = {
    registry: "a.b",
    origin: "https://a.b",
    what: "manifest a.b/c:1",
    anonymous: true,
    said: "",
    retryAfterMs: undefined,
  };

  it.each([
    [401, "unauthenticated", "no"],
    [403, "permission-denied", "no"],
    [404, "not-found", "no"],
    [429, "resource-exhausted", "later"],
    [500, "unavailable", "later"],
    [503, "unavailable", "later"],
    [400, "unavailable", "no"],
    [302, "unavailable", "no"],
  ])("%i is %s, tried again: %s", (status, kind, retry) => {
    expect(statusFailure(status, context)).toMatchObject({ kind, retry });
    expect(statusFailure(status, context).message).toContain("https://a.b");
  });

  it("says how to give credentials, or to check those given", () => {
    expect(statusFailure(401, context).message).toContain(
      'give credentials in imagePullSecrets or [registries."a.b"]',
    );
    expect(statusFailure(403, { ...context, anonymous: false }).message).toContain("check the credentials");
  });
});

describe("what a registry says about an error", () => {
  it.each([
    [
      '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such manifest"}]}',
      "MANIFEST_UNKNOWN: no such manifest",
    ],
    ['{"errors":[{"code":"DENIED"}]}', "DENIED"],
    ['{"errors":[{"code":1,"message":{}}]}', ""],
    ['{"errors":{}}', ""],
    ["null", ""],
    ["<html>", ""],
    ["", ""],
  ])("%s", (body, text) => {
    expect(errorBodyText(Buffer.from(body))).toBe(text);
  });

  it("is one short line without control characters or signed queries", () => {
    const message = `a\n{"level":"fake"}\u001b[31m see https://s3.example/x?X-Amz-Signature=abc ${"y".repeat(1000)}`;
    const text = errorBodyText(Buffer.from(JSON.stringify({ errors: [{ message }] })));
    expect(text).toMatch(/^[\x20-\x7e]{1,200}$/);
    expect(text).not.toContain("abc");
  });
});
