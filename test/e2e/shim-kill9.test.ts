/**
 * The daemon is killed with -9 at random moments while pods of a shim are made, used and removed: each call is
 * answered when it is repeated, no log line and no exit code is lost, nothing is left behind.
 */
import { it } from "vitest";
import { fileDir } from "../support/file-dir.ts";
import { expectAgreement, expectServes } from "../support/oracle.ts";
import { scale } from "../support/scale.ts";
import { shimHandlers } from "../support/shims.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";
import { killDuring, onePod } from "../support/work.ts";

const node = useNode({ config: shimHandlers(fileDir("shims")) });

it.each(["runc-shim", "runsc-shim", "block"])(
  "kill -9 during work of %s: no line or exit code lost, no leak",
  async (handler) => {
    // Long enough for a sandbox of gVisor's to be made now and then.
    const work = { workers: 2, kills: scale(12, 150), pauseMs: 2000 };
    await killDuring(node(), { ...work, work: (dice) => onePod(node(), dice.between(0, 100), handler) });
    await expectServes(node().daemon);
    await expectAgreement(node().daemon);
  },
  within(10 * 60_000),
);
