/** The configuration for people: as a file that would give it, and as the reference in docs/config.md. */
import { stringify } from "smol-toml";
import { type Config, describeConfig, type Origins } from "./config.ts";
import type { Field, Section, TableOf } from "./field.ts";
import { schema } from "./schema.ts";

/** TOML of the whole configuration. Each line tells where its value comes from; secrets are not shown. */
export function printConfig(config: Config, origins: Origins): string {
  const out: string[] = [];
  const table = (values: Record<string, unknown>, path: readonly string[]): void => {
    const isTable = (value: unknown): value is Record<string, unknown> =>
      typeof value === "object" && value !== null && !Array.isArray(value);
    const scalars = Object.entries(values).filter(([, value]) => !isTable(value));
    if (path.length > 0 && scalars.length > 0) out.push("", `[${path.map(tomlKey).join(".")}]`);
    for (const [key, value] of scalars) {
      const origin = origins.get([...path, key].map(tomlKey).join("."));
      out.push(`${stringify({ [key]: value }).trim()} # ${origin ? origin() : "default"}`);
    }
    for (const [key, value] of Object.entries(values)) if (isTable(value)) table(value, [...path, key]);
  };
  table(describeConfig(config), []);
  return `${out.join("\n")}\n`;
}

function tomlKey(name: string): string {
  return /^[\w-]+$/.test(name) ? name : JSON.stringify(name);
}

/** The tables of docs/config.md, made by hack/generate. */
export function configReference(): string {
  const out: string[] = [];
  const rows = (section: Section, title: string, doc: string): void => {
    const fields = Object.entries(section).filter(([, part]) => part.type === "field") as [
      string,
      Field<unknown>,
    ][];
    out.push(`### ${title}`, "");
    if (doc !== "") out.push(doc, "");
    if (fields.length > 0) {
      out.push("| key | what | default | meaning |", "|---|---|---|---|");
      for (const [key, field] of fields)
        out.push(
          `| \`${key}\` | ${field.kind} | ${fallback(field)} | ${field.doc}${field.hot ? " ⟳" : ""} |`,
        );
      out.push("");
    }
  };
  const walk = (section: Section, path: string, title: string, doc: string): void => {
    rows(section, title, doc);
    for (const [key, part] of Object.entries(section)) {
      if (part.type === "field") continue;
      const isTables = part.type === "tables";
      const inner = isTables ? (part as TableOf<Section>).entry : (part as Section);
      const quoted = isTables && key === "registries" ? `"${(part as TableOf<Section>).key}"` : "";
      const name = `${path}${key}${isTables ? `.${quoted || (part as TableOf<Section>).key}` : ""}`;
      walk(inner, `${name}.`, `\`[${name}]\``, isTables ? (part as TableOf<Section>).doc : "");
    }
  };
  walk(schema, "", "Top of the file", "");
  return out.join("\n").trimEnd();
}

function fallback(field: Field<unknown>): string {
  const value = field.show(field.fallback);
  if (value === "" || (typeof value === "object" && Object.keys(value as object).length === 0)) return "";
  return `\`${JSON.stringify(value)}\``;
}
