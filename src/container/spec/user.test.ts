import { describe, expect, it } from "vitest";
import { security } from "./spec.fixture.ts";
import { userRequest } from "./user.ts";

const ask = (change: Partial<typeof security>, image = "") => userRequest({ ...security, ...change }, image);

describe("userRequest", () => {
  it.each([
    ["root when nobody says", {}, "", ""],
    ["the image's", {}, "app:web", "app:web"],
    ["the request's uid before the image's user and group", { runAsUser: 1000n }, "app:web", "1000"],
    ["uid 0 when asked for", { runAsUser: 0n }, "app", "0"],
    ["the request's name before its uid", { runAsUsername: "bob", runAsUser: 7n }, "app", "bob"],
    ["a number as a uid, whatever passwd says (I2)", {}, "1000", "1000"],
    ["the largest id", { runAsUser: 2147483647n }, "", "2147483647"],
    ["a name that only begins like a number", {}, "3proxy", "3proxy"],
  ])("takes %s", (_, change, image, expected) => {
    expect(ask(change, image).user).toBe(expected);
  });

  it("passes groups on (I3)", () => {
    expect(
      ask({
        runAsUser: 1n,
        runAsGroup: 5n,
        supplementalGroups: [6n, 7n],
        supplementalGroupsPolicy: "strict",
      }),
    ).toEqual({
      user: "1",
      group: "5",
      supplementalGroups: [6, 7],
      groupsPolicy: "strict",
    });
  });

  it.each([
    "2147483648",
    "4294967295",
    "4294967296",
    "-1",
    "+1",
    "1e3",
    "0x10",
    "1.5",
    "1.",
    "1000:99999999999",
    "1000:-1",
    "a:b:c",
    "a\nb",
    "a\0",
    "root,x",
  ])("refuses the image's user %j (I1)", (user) => {
    expect(() => ask({}, user)).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
  });

  it.each([-1n, 2147483648n, 2n ** 32n, 2n ** 63n - 1n])("refuses the id %d of a request (I1)", (id) => {
    for (const change of [
      { runAsUser: id },
      { runAsUser: 1n, runAsGroup: id },
      { supplementalGroups: [id] },
    ]) {
      expect(() => ask(change)).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
    }
  });
});
