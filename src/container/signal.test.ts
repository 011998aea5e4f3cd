import { describe, expect, it } from "vitest";
import { signalNumber } from "./signal.ts";

describe("signals as images and pods write them", () => {
  it.each([
    ["SIGTERM", 15],
    ["TERM", 15],
    ["sigquit", 3],
    ["9", 9],
    ["64", 64],
    ["SIGRTMIN", 34],
    ["SIGRTMIN+3", 37],
    ["RTMAX-2", 62],
  ])("%s is %i", (text, number) => expect(signalNumber(text)).toBe(number));

  it.each(["", "0", "65", "SIGNOPE", "SIGRTMIN+31", "-9", "constructor", "SIGRTMIN+", "9 9"])(
    "%j is refused",
    (text) => {
      expect(() => signalNumber(text)).toThrow(/is not a signal/);
    },
  );
});
