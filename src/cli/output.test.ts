import { describe, expect, it } from "vitest";
import { PullLayerState } from "../../cri-api/index.ts";
import { imageNames } from "./commands/list.ts";
import { pick } from "./find.ts";
import { age, printable, size, table, writeValue } from "./output.ts";
import { Progress } from "./progress.ts";

describe("a table", () => {
  it("has columns as wide as their cells and no space at line ends", () => {
    expect(
      table(
        ["A", "LONG HEAD"],
        [
          ["12345", "x"],
          ["1", ""],
        ],
      ),
    ).toBe("A      LONG HEAD\n12345  x\n1\n");
  });

  it("shows no control characters: names come from others", () => {
    expect(printable("a\u001b[31m\nb\u202e")).toBe("a?[31m?b?");
  });

  it.each([
    [0n, "0B"],
    [999n, "999B"],
    [1234n, "1.23kB"],
    [45_600_000n, "45.6MB"],
    [1_234_000_000n, "1.23GB"],
  ])("size %s is %s", (bytes, text) => {
    expect(size(bytes)).toBe(text);
  });

  it.each([
    [0, "just now"],
    [59, "59 seconds ago"],
    [60, "1 minute ago"],
    [7_300, "2 hours ago"],
    [86_400 * 8, "1 week ago"],
    [-5, "just now"],
  ])("%i seconds are %s", (seconds, text) => {
    expect(age(1_000_000_000_000_000_000n, 1_000_000_000_000 + seconds * 1000)).toBe(text);
  });
});

describe("JSON and YAML", () => {
  const written = async (output: "json" | "yaml", value: unknown) => {
    let text = "";
    await writeValue({ output, stdout: { write: (part: string) => (text += part) } }, value);
    return text;
  };

  it("keep 64-bit integers exact, as text", async () => {
    const value = { createdAt: 2n ** 63n - 1n, value: Uint8Array.of(120), list: [{ a: true }] };
    expect(JSON.parse(await written("json", value))).toEqual({
      createdAt: "9223372036854775807",
      value: "eA==",
      list: [{ a: true }],
    });
    expect(await written("yaml", { createdAt: 5n, a: [1] })).toBe('createdAt: "5"\na:\n  - 1\n');
  });
});

describe("what is typed", () => {
  const all = [
    { id: "aaa111", names: ["web", "default/web"], rank: 0 },
    { id: "aab222", names: ["db", "default/db"], rank: 0 },
    { id: "ccc333", names: ["db", "shop/db"], rank: 0 },
    { id: "ddd444", names: ["job"], rank: 1 },
    { id: "eee555", names: ["job"], rank: 2 },
  ];

  it.each([
    ["web", "aaa111"],
    ["shop/db", "ccc333"],
    ["ccc333", "ccc333"],
    ["aab", "aab222"],
    ["job", "eee555"],
  ])("%s means %s", (ref, id) => {
    expect(pick("pod", ref, all).id).toBe(id);
  });

  it("may not mean several, or nothing", () => {
    expect(() => pick("pod", "db", all)).toThrow(
      /db could be several: aab222 \(default\/db\), ccc333 \(shop\/db\)/,
    );
    expect(() => pick("pod", "aa", all)).toThrow(/could be several/);
    expect(() => pick("pod", "we", all)).toThrow(/no pod is called we/);
    expect(() => pick("container", "", all)).toThrow(/kobako ps -a/);
  });
});

describe("images", () => {
  it("are shown by name and tag; a port is no tag", () => {
    const names = (repoTags: string[], repoDigests: string[] = []) => imageNames({ repoTags, repoDigests });
    expect(names(["127.0.0.1:5000/a/b:v1", "docker.io/library/x:latest"])).toEqual([
      { name: "127.0.0.1:5000/a/b", tag: "v1" },
      { name: "docker.io/library/x", tag: "latest" },
    ]);
    expect(names([], ["127.0.0.1:5000/a@sha256:00"])).toEqual([{ name: "127.0.0.1:5000/a", tag: "<none>" }]);
    expect(names([])).toEqual([{ name: "<none>", tag: "<none>" }]);
  });
});

describe("the progress of a pull", () => {
  const layer = (n: number, state: PullLayerState, doneBytes = 0n) => ({
    digest: `sha256:${String(n).repeat(64)}`,
    state,
    doneBytes,
    totalBytes: 10n << 20n,
  });
  const { PULL_LAYER_WAITING, PULL_LAYER_DOWNLOADING, PULL_LAYER_DONE, PULL_LAYER_EXISTS } = PullLayerState;

  it("is a line per change of state where there is no terminal", () => {
    let text = "";
    const progress = new Progress({ write: (part: string) => (text += part) });
    progress.update(layer(1, PULL_LAYER_WAITING));
    for (let i = 0n; i < 10n; i++) progress.update(layer(1, PULL_LAYER_DOWNLOADING, i << 20n));
    progress.update(layer(1, PULL_LAYER_DONE, 10n << 20n));
    progress.finish();
    expect(text).toBe(
      "111111111111: waiting (10.0 MiB)\n111111111111: downloading (10.0 MiB)\n111111111111: done (10.0 MiB)\n",
    );
  });

  it("is a bar per layer, drawn over itself, on a terminal", () => {
    const screen: string[] = [];
    let row = 0;
    const write = (text: string) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a small terminal
      for (const [, up, line] of text.matchAll(/\u001b\[(\d+)A|\u001b\[2K([^\n]*)\n/g)) {
        if (up !== undefined) row -= Number(up);
        else screen[row++] = line ?? "";
      }
    };
    let now = 0;
    const progress = new Progress({ write, isTTY: true, columns: 100, rows: 24 }, () => now);
    progress.update(layer(1, PULL_LAYER_EXISTS));
    progress.update(layer(2, PULL_LAYER_DOWNLOADING, 0n));
    now += 1000;
    progress.update(layer(2, PULL_LAYER_DOWNLOADING, 5n << 20n));
    expect(screen).toEqual([
      "111111111111  already here",
      "222222222222  [===============>              ]  50%  5.0 MiB of 10.0 MiB",
    ]);
    progress.update(layer(2, PULL_LAYER_DONE, 10n << 20n));
    progress.finish();
    expect(screen).toEqual(["111111111111  already here", "222222222222  done"]);
  });

  it("of more layers than the terminal has lines shows those under way", () => {
    let text = "";
    const progress = new Progress(
      { write: (part: string) => (text = part), isTTY: true, columns: 80, rows: 5 },
      () => 0,
    );
    for (let n = 1; n < 9; n++) progress.update(layer(n, n < 6 ? PULL_LAYER_DONE : PULL_LAYER_DOWNLOADING));
    expect(text.match(/\n/g)).toHaveLength(3);
    expect(text).toContain("888888888888");
  });
});
