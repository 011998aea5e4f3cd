import { describe, expect, it } from "vitest";
import { parseChallenges } from "./challenge.ts";

function parse(header: string | undefined) {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

describe("WWW-Authenticate", () => {
  it.each([
    [
      'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
      [
        [
          "bearer",
          {
            realm: "https://auth.example/token",
            service: "registry.example",
            scope: "repository:a/b:pull,push",
          },
        ],
      ],
    ],
    [
      'Basic realm="a \\"quoted\\" word, with a comma"',
      [["basic", { realm: 'a "quoted" word, with a comma' }]],
    ],
    ["basic realm=plain", [["basic", { realm: "plain" }]]],
    ['BASIC REALM = "x" , Charset=UTF-8', [["basic", { realm: "x", charset: "UTF-8" }]]],
    [
      'Basic realm="a", Bearer realm="https://b/t", service="s"',
      [
        ["basic", { realm: "a" }],
        ["bearer", { realm: "https://b/t", service: "s" }],
      ],
    ],
    [
      'Negotiate, Basic realm="x"',
      [
        ["negotiate", {}],
        ["basic", { realm: "x" }],
      ],
    ],
    [
      'Negotiate YIIabc==, Basic realm="x"',
      [
        ["negotiate", {}],
        ["basic", { realm: "x" }],
      ],
    ],
    ["Negotiate", [["negotiate", {}]]],
    [',, Basic realm="x",,', [["basic", { realm: "x" }]]],
    [
      'Bearer __proto__="x",realm="y"',
      [
        [
          "bearer",
          Object.fromEntries([
            ["__proto__", "x"],
            ["realm", "y"],
          ]),
        ],
      ],
    ],
    ['Bearer realm=""', [["bearer", { realm: "" }]]],
  ])("reads %s", (header, challenges) => {
    expect(parse(header)).toEqual(challenges);
  });

  it.each([
    ["nothing", undefined],
    ["an empty header", ""],
    ["a quote that is not closed", 'Bearer realm="https://a/t'],
    ["a quote that ends with a backslash", 'Bearer realm="x\\'],
    ["text behind a quote", 'Bearer realm="x"y'],
    ["a quote instead of a scheme", '"Bearer" realm="x"'],
    ["a name given twice", 'Bearer realm="https://a/t",realm="https://b/t"'],
    ["a name given twice in another case", 'Bearer realm="https://a/t",REALM="https://b/t"'],
    ["a parameter without a name", 'Bearer ="x"'],
    ["parameters without a comma", 'Bearer realm="x" service="y"'],
    ["a control character in a quote", 'Bearer realm="x\u0001"'],
    ["a thousand parameters", `Bearer ${Array.from({ length: 1000 }, (_, i) => `p${i}=x`).join(",")}`],
    ["a thousand challenges", Array.from({ length: 1000 }, () => 'Basic realm="x"').join(", ")],
    ["a megabyte", `Bearer realm="${"x".repeat(1 << 20)}"`],
    ["a good challenge and then a broken one", 'Bearer realm="https://a/t", Basic realm="'],
  ])("finds no challenge in %s", (_, header) => {
    expect(parse(header)).toEqual([]);
  });

  it("does not take long over any header that is let in", () => {
    const started = performance.now();
    for (const unit of ['Basic realm="', "a=", ", ", '\\"', "a ", "Basic "]) {
      parseChallenges(unit.repeat(8192 / unit.length));
    }
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
