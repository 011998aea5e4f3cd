import { parse } from "smol-toml";

/**
 * The line (from 1) on which `path` is first set in a TOML text that is known to be valid. The parser gives values
 * without places, so ever longer beginnings of the text are read until the key appears: slow, and only done for
 * errors and `config print`. Text that ends inside a value of several lines is not valid yet, which is how the
 * first of those lines is found.
 */
export function lineOf(text: string, path: readonly string[]): number {
  const lines = text.split("\n");
  let lastWithout = 0;
  for (let n = 1; n <= lines.length; n++) {
    let tree: unknown;
    try {
      tree = parse(lines.slice(0, n).join("\n"));
    } catch {
      continue;
    }
    if (has(tree, path)) return lastWithout + 1;
    lastWithout = n;
  }
  return lines.length;
}

function has(tree: unknown, path: readonly string[]): boolean {
  let at = tree;
  for (const name of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return false;
    at = (at as Record<string, unknown>)[name];
  }
  return true;
}
