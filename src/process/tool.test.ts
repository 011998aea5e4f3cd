import { expect, it } from "vitest";
import { toolPath } from "./tool.ts";

it("a program of the host is found where the system has it, and who needs a missing one is named", () => {
  expect(toolPath("sh", "x")).toMatch(/^\/(usr\/)?bin\/sh$/);
  expect(() => toolPath("no-such-program", 'rootfs = "block"')).toThrow(
    'rootfs = "block" needs the program no-such-program',
  );
});
