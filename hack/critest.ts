/** hack/critest: see there. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { mirroredHosts, pushCritestImages } from "../test/fixtures/critest-images.ts";
import { Registry } from "../test/support/registry.ts";
import { tempDir } from "../test/support/temp-dir.ts";
import { parseArgs } from "node:util";
import { startContainerd } from "./benchmark/containerd.ts";
import { startOwn, stopOwn } from "./own-daemon.ts";
import type { TomlTable } from "smol-toml";
import { must, run } from "./run.ts";
import { getRuntime, runtimeSettings, shimSettings } from "./runtimes.ts";
import { markdownTable } from "./text-table.ts";

const root = join(import.meta.dirname, "..");
const expectedFile = join(root, "test/conformance/expected.json");
const docsFile = join(root, "docs/conformance.md");
const version = "v1.36.0";
const builtin = "builtin";

/** Specs that cannot be run here at all, with the reason; everything else is run. */
const leftOut: readonly { readonly pattern: string; readonly reason: string }[] = [
  {
    pattern: "public image with digest should be pulled and removed",
    reason: "asks for one image by a digest that only the original has; it cannot be rebuilt",
  },
];

/** Reasons for skips that critest gives without one. */
const skipReasons: readonly { readonly pattern: RegExp; readonly reason: string }[] = [
  {
    pattern: /\bbenchmark about\b/,
    reason: "measures, and is run only with parameters; hack/bench does that here",
  },
];

interface SpecReport {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly State:
    | "passed"
    | "failed"
    | "skipped"
    | "pending"
    | "panicked"
    | "interrupted"
    | "aborted"
    | "timedout";
  readonly Failure?: {
    readonly Message: string;
    readonly Location?: { readonly LineNumber: number; readonly FileName: string };
  };
}

interface Spec {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly reason: string;
}

function readReport(file: string): Spec[] {
  const suites = JSON.parse(readFileSync(file, "utf8")) as readonly {
    SpecReports: readonly SpecReport[] | null;
  }[];
  return suites
    .flatMap(({ SpecReports }) => SpecReports ?? [])
    .filter(({ LeafNodeType }) => LeafNodeType === "It")
    .map((spec) => {
      const name = [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(" ");
      const left = leftOut.find(({ pattern }) => name.includes(pattern));
      const outcome =
        spec.State === "passed"
          ? "passed"
          : spec.State === "skipped" || spec.State === "pending"
            ? "skipped"
            : "failed";
      return {
        name,
        outcome,
        reason:
          left?.reason ??
          (outcome === "skipped"
            ? skipReasons.find(({ pattern }) => pattern.test(name))?.reason
            : undefined) ??
          (spec.Failure?.Message ?? "").trim().split("\n").slice(0, 4).join(" "),
      } as const;
    })
    .toSorted((a, b) => a.name.localeCompare(b.name));
}

/** A reason without what differs from run to run, so that the page changes only when the outcome does. */
function lasting(reason: string): string {
  return reason
    .replaceAll(/\b[0-9a-f]{12,64}\b/g, "ID")
    .replaceAll(/0x[0-9a-f]+/g, "0x0")
    .replaceAll(/\/tmp\/kobako-critest-\w+/g, "DIR")
    .replaceAll(/\s+/g, " ")
    .slice(0, 300);
}

/** What a handler is called in the page, and where its section stands. */
function marks(handler: string): [string, string] {
  return [`<!-- begin: critest ${handler} -->`, `<!-- end: critest ${handler} -->`];
}

function section(handler: string, program: string, specs: readonly Spec[]): string {
  const of = (outcome: Spec["outcome"]) => specs.filter((spec) => spec.outcome === outcome);
  const list = (title: string, outcome: Spec["outcome"]) => {
    const found = of(outcome);
    if (found.length === 0) return "";
    const rows = found.map(({ name, reason }) => [name, lasting(reason)]);
    return `\n### ${title} (${found.length})\n\n${markdownTable(["spec", "reason"], rows)}\n`;
  };
  const counts = `| passed | failed | skipped |
| --- | --- | --- |
| ${of("passed").length} | ${of("failed").length} | ${of("skipped").length} |
`;
  if (handler !== builtin)
    return `## Handler ${handler}: ${program}\n\n${counts}\nRecorded in test/conformance/expected-${handler}.json.\n${list("Failed", "failed")}${list("Skipped", "skipped")}`;
  const passed = of("passed").map(({ name }) => `- ${name}`);
  return `## The builtin handler\n\n${counts}\nRecorded in test/conformance/expected.json.\n${list("Failed", "failed")}${list("Skipped", "skipped")}\n### Passed (${passed.length})\n\n${passed.join("\n")}\n`;
}

const head = `# Conformance

Written by \`hack/critest [--handler NAME]\`: critest ${version} (sigs.k8s.io/cri-tools) against a daemon of its own with
the embedded network, one section for each handler. The images are made on the spot (test/fixtures/critest-images.ts).
A run that loses a spec which passed before fails.
`;

/** What containerd failed with the same runtime: kept, so that the comparison stands after each run of either. */
interface PeerRecord {
  readonly critest: string;
  readonly failed: Readonly<Record<string, string>>;
  readonly passed: readonly string[];
}

function peerFile(handler: string): string {
  return expectedFile.replace(/expected\.json$/, `containerd-${handler}.json`);
}

/** The specs that a handler's section of the page says failed. */
function failedInPage(page: string, handler: string): ReadonlySet<string> {
  const [begin, end] = marks(handler);
  const text = page.includes(begin) ? page.slice(page.indexOf(begin), page.indexOf(end)) : "";
  const table = text.split("\n### ").find((part) => part.startsWith("Failed")) ?? "";
  const names = table.split("\n").map((line) => /^\| (.*?) \| /.exec(line)?.[1] ?? "");
  return new Set(names.filter((name) => name.startsWith("[")));
}

/** What kobako or containerd fails with the same runtime, beside each other. Handlers of one program: its columns. */
function comparison(handler: string): string | undefined {
  if (!existsSync(peerFile(handler))) return undefined;
  const { failed, passed } = JSON.parse(readFileSync(peerFile(handler), "utf8")) as PeerRecord;
  const page = existsSync(docsFile) ? readFileSync(docsFile, "utf8") : "";
  const ours = [handler, handler.replace(/-shim$/, "")].map((name) => {
    const file = expectedFile.replace(/\.json$/, `-${name}.json`);
    const known = existsSync(file)
      ? (JSON.parse(readFileSync(file, "utf8")) as { passed: string[] })
      : undefined;
    return { name, passed: new Set(known?.passed), failed: failedInPage(page, name) };
  });
  const theirs = { passed: new Set(passed), failed: new Set(Object.keys(failed)) };
  const names = [...new Set([...theirs.failed, ...ours.flatMap((one) => [...one.failed])])].toSorted((a, b) =>
    a.localeCompare(b),
  );
  const word = (one: { passed: ReadonlySet<string>; failed: ReadonlySet<string> }, name: string) =>
    one.passed.has(name) ? "passed" : one.failed.has(name) ? "failed" : "skipped";
  const rows = names.map((name) => [
    name,
    ...ours.map((one) => word(one, name)),
    word(theirs, name),
    failed[name] ?? "",
  ]);
  const head = [
    "spec",
    ...ours.map(({ name }) => `kobako, ${name}`),
    "containerd",
    "what containerd failed of",
  ];
  return `## ${handler} beside containerd with the same shim\n\nWritten by \`hack/critest --peer containerd --handler ${handler}\`: every spec that one of them fails.\n\n${markdownTable(head, rows)}\n`;
}

/** The page with one handler's section replaced, or added; what others wrote stays. */
function withSection(page: string, handler: string, text: string): string {
  const [begin, end] = marks(handler);
  const block = `${begin}\n\n${text}\n${end}`;
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from >= 0 && to > from) return `${page.slice(0, from)}${block}${page.slice(to + end.length)}`;
  const before = page.startsWith("# Conformance") && page.includes("<!-- begin: ") ? page : head;
  return `${before.trimEnd()}\n\n${block}\n`;
}

/** Writes the comparison of `handler`, where containerd has been run with it. */
function writeComparison(handler: string): void {
  const text = comparison(handler);
  if (text === undefined) return;
  writeFileSync(docsFile, withSection(readFileSync(docsFile, "utf8"), `${handler} beside containerd`, text));
}

/** What critest is pointed at. */
interface Target extends AsyncDisposable {
  readonly endpoint: string;
}

async function ownTarget(
  registry: Registry,
  folder: string,
  handler: string,
  settings: TomlTable,
): Promise<Target> {
  const registries = Object.fromEntries(mirroredHosts.map((host) => [host, { mirrors: [registry.url] }]));
  const handlers: TomlTable =
    handler === builtin ? {} : { default_runtime: handler, runtimes: { [handler]: settings } };
  const daemon = await startOwn(join(folder, "d"), { settings: { registries, ...handlers } });
  return {
    endpoint: daemon.socket,
    async [Symbol.asyncDispose]() {
      mkdirSync(join(root, "build"), { recursive: true });
      if (existsSync(daemon.logFile))
        writeFileSync(join(root, "build/critest-daemon.log"), readFileSync(daemon.logFile));
      await stopOwn(daemon.folder);
    },
  };
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { peer: { type: "string" }, handler: { type: "string", default: builtin } },
    allowPositionals: true,
  });
  const [focus] = positionals;
  if (values.peer !== undefined && values.peer !== "containerd")
    throw new Error(`--peer ${values.peer}: only containerd is known`);
  const { handler } = values;
  const isPeer = values.peer !== undefined;
  const [critest = ""] = (await must([join(root, "hack/tools"), "critest"])).trim().split("\n").slice(-1);
  await using folder = await tempDir("critest");
  const shim = shimSettings(handler, folder.path);
  if (isPeer && handler !== builtin && shim?.configPath === undefined)
    throw new Error(`--peer containerd --handler ${handler}: only runsc-shim is known, or none for runc`);
  const program = shim?.path ?? (handler === builtin ? "" : await getRuntime(handler));
  await using registry = await Registry.start();
  await pushCritestImages(registry);
  await using target =
    values.peer === undefined
      ? await ownTarget(registry, folder.path, handler, shim?.settings ?? runtimeSettings(program))
      : await startContainerd(
          registry,
          mirroredHosts,
          shim?.configPath === undefined
            ? undefined
            : { name: handler, path: shim.path, configPath: shim.configPath },
        );
  const report = join(folder.path, "report.json");
  const endpoint = `unix://${target.endpoint}`;
  const skip = leftOut.map(({ pattern }) => pattern).join("|");
  const { code } = await run(
    [
      critest,
      "--config=/dev/null",
      `--runtime-endpoint=${endpoint}`,
      `--image-endpoint=${endpoint}`,
      `--ginkgo.json-report=${report}`,
      "--ginkgo.no-color",
      "--ginkgo.seed=1",
      `--ginkgo.skip=${skip}`,
      ...(focus === undefined ? [] : [`--ginkgo.focus=${focus}`]),
    ],
    { cwd: folder.path, show: true },
  );
  if (!existsSync(report)) throw new Error(`critest ended with ${code} and left no report`);
  const specs = readReport(report);
  const count = (outcome: Spec["outcome"]) => specs.filter((spec) => spec.outcome === outcome).length;
  for (const { name, reason } of specs.filter((spec) => spec.outcome === "failed"))
    console.log(`failed: ${name}: ${reason}`);
  console.log(`critest: ${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`);
  if (focus !== undefined || (isPeer && handler === builtin)) return count("failed") > 0 ? 1 : 0;
  if (isPeer) {
    const record: PeerRecord = {
      critest: version,
      failed: Object.fromEntries(
        specs
          .filter(({ outcome }) => outcome === "failed")
          .map(({ name, reason }) => [name, lasting(reason)]),
      ),
      passed: specs.filter(({ outcome }) => outcome === "passed").map(({ name }) => name),
    };
    writeFileSync(peerFile(handler), `${JSON.stringify(record, null, 2)}\n`);
    writeComparison(handler);
    return 0;
  }

  const file = handler === builtin ? expectedFile : expectedFile.replace(/\.json$/, `-${handler}.json`);
  const before = existsSync(file)
    ? (JSON.parse(readFileSync(file, "utf8")) as { passed: string[] }).passed
    : [];
  const now = new Set(specs.filter(({ outcome }) => outcome === "passed").map(({ name }) => name));
  const lost = before.filter((name) => !now.has(name));
  for (const name of lost) console.log(`passed before and not now: ${name}`);
  const said =
    program === ""
      ? ""
      : ((await must([program, shim === undefined ? "--version" : "-v"])).split("\n", 1)[0] ?? "").trim();
  const page = existsSync(docsFile) ? readFileSync(docsFile, "utf8") : "";
  writeFileSync(docsFile, withSection(page, handler, section(handler, said, specs)));
  if (lost.length > 0) return 1;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ critest: version, passed: [...now].toSorted() }, null, 2)}\n`);
  for (const name of [handler, `${handler}-shim`]) writeComparison(name);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`critest: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exitCode = 1;
}
process.exit();
