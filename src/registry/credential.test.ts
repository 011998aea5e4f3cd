import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { Credential } from "./credential.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("a credential", () => {
  it.each([
    ["nothing", undefined, "anonymous"],
    [
      "empty fields",
      { username: "", password: "", auth: "", identityToken: "", registryToken: "" },
      "anonymous",
    ],
    ["name and password", { username: "u", password: "p", identityToken: "t" }, "basic"],
    ["an identity token beside a name", { username: "u", identityToken: "t" }, "identity-token"],
    ["auth", { auth: base64("u:p") }, "basic"],
    ["auth padded with NUL bytes", { auth: base64("u:p\0\0") }, "basic"],
    ["a registry token", { registryToken: "t" }, "registry-token"],
    ["a name alone", { username: "u" }, "basic"],
  ])("of %s", (_, auth, kind) => {
    expect(Credential.of(auth).kind).toBe(kind);
  });

  it("makes the header of basic authentication, colons in the password included", () => {
    expect(Credential.of({ auth: base64("u:p:q") }).basicHeader()).toBe(`Basic ${base64("u:p:q")}`);
    expect(Credential.of({ username: "u", password: "p\u00e9" }).basicHeader()).toBe(
      `Basic ${base64("u:p\u00e9")}`,
    );
  });

  it.each([
    ["auth without a colon", { auth: base64("secretword") }],
    ["auth without a name", { auth: base64(":secretword") }],
    ["a registry token with a line break", { registryToken: "secretword\r\nX: y" }],
  ])("refuses %s without quoting it", (_, auth) => {
    expect(() => Credential.of(auth)).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
    expect(() => Credential.of(auth)).not.toThrow(/secretword/);
  });

  it("has equal keys exactly for equal credentials", () => {
    const keys = [
      Credential.of({ username: "u", password: "p" }),
      Credential.of({ username: "u", password: "q" }),
      Credential.of({ username: "up", password: "" }),
      Credential.of({ username: "u", identityToken: "p" }),
      Credential.of({ registryToken: "p" }),
      Credential.anonymous,
    ].map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    expect(Credential.of({ auth: base64("u:p") }).key).toBe(keys[0]);
  });

  it("is not shown by a log, JSON or an error", () => {
    const credential = Credential.of({ username: "u", password: "secretword" });
    const shown = [
      inspect(credential, { depth: 9, showHidden: true }),
      JSON.stringify(credential),
      String(credential),
    ];
    expect(shown.join()).not.toContain("secretword");
    expect(shown.join()).not.toContain(base64("u:secretword"));
    expect(credential.redact(`no secretword, no ${base64("u:secretword")}`)).toBe("no ***, no ***");
  });
});
