import { describe, expect, it } from "vitest";
import { imageUser } from "./image-service.ts";

describe("the user that ImageStatus tells", () => {
  it.each([
    ["", {}],
    ["0", { uid: { value: 0n } }],
    ["1000:1000", { uid: { value: 1000n } }],
    ["1000:staff", { uid: { value: 1000n } }],
    ["nobody", { username: "nobody" }],
    ["nobody:nogroup", { username: "nobody" }],
    [":1000", {}],
    ["4294967294", { uid: { value: 4294967294n } }],
    // Not numbers that the kernel takes for a user: never cut to one that it does.
    ["4294967295", { username: "4294967295" }],
    ["4294967296", { username: "4294967296" }],
    ["99999999999", { username: "99999999999" }],
    ["-1", { username: "-1" }],
    ["0x10", { username: "0x10" }],
    ["1e3", { username: "1e3" }],
  ])("of %s", (user, expected) => {
    expect(imageUser(user)).toEqual(expected);
  });
});
