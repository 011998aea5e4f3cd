import { writeFileSync } from "node:fs";
import { TestPod, within } from "./pod.ts";
const t: Record<string, number[]> = {};
const pod = await TestPod.start();
const wrap = (name: string) => {
  const o = pod.sandbox as any;
  const f = o[name].bind(o);
  o[name] = async (...a: unknown[]) => { const b = performance.now(); try { return await f(...a); } finally { (t[name] ??= []).push(performance.now() - b); } };
};
for (const n of ["prepare", "create", "start", "delete"]) wrap(n);
let spec;
for (let i = 0; i < 40; i++) {
  const c = await pod.create({ command: ["/bin/sleep", "1000"] });
  spec = c.spec;
  await pod.sandbox.start(c.id, within());
  const b = performance.now(); const r = await c.exec(["/bin/true"]); (t.exec ??= []).push(performance.now() - b);
  await pod.sandbox.delete(c.id, within());
}
writeFileSync("/tmp/h1t/spec.json", JSON.stringify(spec));
for (const [k, v] of Object.entries(t)) { v.sort((a, b) => a - b); console.log(k, "p50", v[v.length >> 1]!.toFixed(2), "p95", v[Math.floor(v.length * 0.95)]!.toFixed(2), "min", v[0]!.toFixed(2)); }
await pod[Symbol.asyncDispose]();
