/** Runs the tests of test/e2e/kubernetes/cluster against a cluster of its own and writes what came of them down. */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { basename, join } from "node:path";
import { tempDir } from "../../test/support/temp-dir.ts";
import { writeMarked } from "../marked.ts";
import { run } from "../run.ts";
import { getRuntime } from "../runtimes.ts";
import { markdownTable } from "../text-table.ts";
import { Node } from "./node.ts";

const repository = join(import.meta.dirname, "../..");
const reportFile = join(repository, "build/test-results/kubernetes-report.json");

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
    }[];
  }[];
}

interface Row {
  readonly feature: string;
  readonly sentence: string;
  readonly outcome: string;
}

function readReport(): Row[] {
  const { testResults } = JSON.parse(readFileSync(reportFile, "utf8")) as Report;
  return testResults
    .flatMap(({ name, assertionResults }) =>
      assertionResults.map(({ ancestorTitles, title, status }) => ({
        feature: ancestorTitles.join(", ") || basename(name, ".test.ts"),
        sentence: title,
        outcome: status === "pending" ? "skipped" : status,
      })),
    )
    .toSorted((a, b) => a.feature.localeCompare(b.feature));
}

/** What a kubelet offers and is not asked here, with the reason. */
const later: readonly (readonly [feature: string, reason: string])[] = [
  ["image volumes", "a mount with an image is refused by name"],
  [
    "metrics from CRI (ListMetricDescriptors, ListPodSandboxMetrics)",
    "the kubelet's cAdvisor tells them so far",
  ],
];

function part(rows: readonly Row[]): string {
  const count = (outcome: string) => String(rows.filter((row) => row.outcome === outcome).length);
  const totals = [count("passed"), count("failed"), count("skipped")];
  return `Kubernetes 1.36.3, etcd 3.7.3.

${markdownTable(["passed", "failed", "skipped"], [totals])}

${markdownTable(
  ["feature", "what holds", "outcome"],
  rows.map(({ feature, sentence, outcome }) => [feature, sentence, outcome]),
)}

Left for later:

${markdownTable(["feature", "reason"], later)}`;
}

/** @param args of vitest; with any, only a part may run, and nothing is written. Returns the exit code. */
export async function testCluster(args: readonly string[]): Promise<number> {
  await using folder = await tempDir("cluster");
  console.error(`cluster: below ${folder.path}`);
  let code = 1;
  try {
    const handlers = { runc: await getRuntime("runc"), crun: await getRuntime("crun") };
    const node = await Node.up(folder.path, { controlPlane: true, agnhost: true, handlers });
    mkdirSync(join(reportFile, ".."), { recursive: true });
    rmSync(reportFile, { force: true });
    ({ code } = await run(
      [
        process.execPath,
        join(repository, "node_modules/vitest/vitest.mjs"),
        "run",
        "--project=kubernetes",
        "--reporter=verbose",
        "--reporter=json",
        `--outputFile.json=${reportFile}`,
        ...args,
      ],
      { cwd: repository, env: { KOBAKO_CLUSTER: node.folder }, show: true },
    ));
  } finally {
    const logs = join(repository, "build/cluster-log");
    rmSync(logs, { recursive: true, force: true });
    const at = (name: string) => join(folder.path, name);
    if (existsSync(at("log"))) await cp(at("log"), logs, { recursive: true });
    if (existsSync(at("kobako/kobako.log"))) await cp(at("kobako/kobako.log"), join(logs, "kobako.log"));
    if (existsSync(at("node.json"))) await (await Node.at(folder.path)).down();
  }
  if (!existsSync(reportFile)) throw new Error(`vitest ended with ${code} and left no report`);
  const rows = readReport();
  if (args.length === 0) writeMarked(join(repository, "docs/conformance.md"), "cluster", part(rows));
  const failed = rows.filter(({ outcome }) => outcome === "failed").length;
  console.log(
    `cluster: ${rows.filter(({ outcome }) => outcome === "passed").length} passed, ${failed} failed`,
  );
  return code;
}
