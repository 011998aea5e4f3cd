import { describe, expect, it } from "vitest";
import { checkImports, checkIncludes } from "./import-direction.ts";

describe("the direction of imports", () => {
  it.each([
    ["src/server/a.ts", 'import { x } from "../sandbox/sandbox.ts";'],
    ["src/server/a.ts", 'import type { x } from "../../cri-api/index.ts";'],
    ["src/sandbox/a.ts", 'import { x } from "../store/store.ts";'],
    ["src/store/a.ts", 'import { x } from "../errors/runtime-error.ts";'],
    ["src/store/a.ts", 'import { DatabaseSync } from "node:sqlite";'],
    ["src/image/a.test.ts", 'import { Registry } from "../../test/support/registry.ts";'],
  ])("allows %s: %s", (path, text) => {
    expect(checkImports(path, text)).toEqual([]);
  });

  it.each([
    ["src/store/a.ts", 'import { x } from "../network/network.ts";', "mechanism src/store imports mechanism"],
    ["src/store/a.ts", 'export * from "../sandbox/state.ts";', "mechanism src/store imports domain"],
    ["src/sandbox/a.ts", 'import type {\n  A,\n  B,\n} from "../../cri-api/index.ts";', "imports api"],
    ["src/oci/a.ts", 'const x = await import("../log/log.ts");', "leaf src/oci imports leaf"],
    ["src/sandbox/a.ts", 'import { status } from "@grpc/grpc-js";', "belongs to src/server"],
    ["src/nowhere/a.ts", "", "has no place"],
  ])("refuses %s: %s", (path, text, breach) => {
    expect(checkImports(path, text)).toEqual([expect.stringContaining(breach)]);
  });

  it("holds C rooms to their order", () => {
    expect(checkIncludes("native/monitor/main.c", '#include "base/err.h"\n#include "log.h"')).toEqual([]);
    expect(checkIncludes("cni/bridge.c", '#include "base/err.h"')).toEqual([]);
    expect(checkIncludes("native/unpack/main.c", '#include "spec/spec.h"')).toHaveLength(1);
    expect(checkIncludes("native/base/io.c", '#include "../container/container.h"')).toHaveLength(1);
    expect(checkIncludes("native/base/io.c", '#include "../cgroup/cgroup.h"')).toHaveLength(1);
  });
});
