/**
 * The daemon is killed with -9 at random moments while pods of external runtimes are made, used and removed: each call
 * is answered when it is repeated, no log line and no exit code is lost, nothing is left behind.
 */
import { it } from "vitest";
import { expectAgreement, expectServes } from "../support/oracle.ts";
import { scale } from "../support/scale.ts";
import { toolPaths } from "../support/shims.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";
import { killDuring, onePod } from "../support/work.ts";

const [runc = "", runsc = ""] = toolPaths("runc", "runsc");
const programs = { runc, crun: "/usr/bin/crun", runsc };
const node = useNode({
  config: Object.entries(programs)
    .map(([name, path]) => `[runtimes.${name}]\ntype = "oci"\npath = "${path}"\n`)
    .join(""),
});

it.each(Object.keys(programs))(
  "kill -9 during work of %s: no line or exit code lost, no leak",
  async (handler) => {
    const work = { workers: 2, kills: scale(8, 300), pauseMs: 700 };
    await killDuring(node(), { ...work, work: (dice) => onePod(node(), dice.between(0, 100), handler) });
    await expectServes(node().daemon);
    await expectAgreement(node().daemon);
  },
  within(10 * 60_000),
);
