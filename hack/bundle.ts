/**
 * Bundles src/main.ts and its packages into one ESM file, build/lib/kobako/kobako.mjs: start-up is one
 * read, and what runs is what was tested. Written beside and renamed, so that a starting daemon never
 * reads half a file.
 */
import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { builtinModules } from "node:module";
import { build, type Plugin } from "esbuild";

const root = join(import.meta.dirname, "..");
const entry = join(root, "src/main.ts");
const out = join(root, "build/lib/kobako/kobako.mjs");

/**
 * Node's own modules as plain objects that are fetched when the module that needs them runs. As static imports
 * of an ES module all of them would be loaded at every start, and their exports listed: for node:http alone
 * that runs a getter that loads a whole HTTP client (measured: 11 of 48 ms and 8 MB of `kobako version`).
 */
const lazyBuiltins: Plugin = {
  name: "lazy-builtins",
  setup({ onResolve, onLoad }) {
    const names = new Set(builtinModules);
    onResolve({ filter: /^(node:)?[a-z0-9_/]+$/ }, ({ path }) =>
      path.startsWith("node:") || names.has(path)
        ? { path: path.replace(/^node:/, ""), namespace: "builtin" }
        : undefined,
    );
    onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule("node:${path}")`,
      loader: "js",
    }));
  },
};

if (!existsSync(entry)) {
  console.error("bundle: src/main.ts is not there yet");
} else {
  await mkdir(join(out, ".."), { recursive: true });
  const result = await build({
    entryPoints: [entry],
    outfile: `${out}.new`,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node26",
    // Names stay for stack traces; only white space and syntax shrink, which the parser is grateful for.
    minifySyntax: true,
    minifyWhitespace: true,
    keepNames: false,
    legalComments: "none",
    metafile: true,
    absWorkingDir: root,
    // CommonJS packages ask for Node's own modules by require.
    banner: {
      js: 'import { createRequire as kobakoCreateRequire } from "node:module"; const require = kobakoCreateRequire(import.meta.url);',
    },
    logLevel: "warning",
    plugins: [lazyBuiltins],
  }).catch(() => process.exit(1)); // esbuild has said what and where
  await rename(`${out}.new`, out);
  if (process.argv.includes("--sizes")) {
    const bytes = new Map<string, number>();
    for (const [path, { bytesInOutput }] of Object.values(result.metafile.outputs).flatMap((o) =>
      Object.entries(o.inputs),
    )) {
      const name =
        /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? path.split("/").slice(0, 2).join("/");
      bytes.set(name, (bytes.get(name) ?? 0) + bytesInOutput);
    }
    for (const [name, size] of [...bytes].toSorted((a, b) => b[1] - a[1]))
      console.log(`${String(Math.round(size / 1024)).padStart(6)} KiB  ${name}`);
  }
}
