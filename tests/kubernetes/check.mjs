// SPDX-License-Identifier: Apache-2.0
//
// Checks a manifest against the schemas of Kubernetes: node check.mjs MANIFEST. Prints each object's kind and name.
// kubernetes-models validates types, patterns and required members at run time. It does not notice misspelt members:
// TypeScript does, because they are in no interface. tests/test_kubernetes.py runs this in a folder with the packages.

import { readFileSync, writeFileSync } from "node:fs";
import ts from "typescript";
import { parseAllDocuments } from "yaml";

const objects = parseAllDocuments(readFileSync(process.argv[2], "utf8")).map((document) => {
  if (document.errors.length > 0) throw document.errors[0];
  return document.toJS();
});

const lines = [];
for (const [i, object] of objects.entries()) {
  const { apiVersion, kind } = object;
  const models = await import(`kubernetes-models/${apiVersion}`);
  new models[kind](object).validate();
  lines.push(`import type { I${kind} as Kind${i} } from "kubernetes-models/${apiVersion}/${kind}";`);
  lines.push(`export const object${i}: Kind${i} = ${JSON.stringify(object)};`);
}

writeFileSync("manifest.ts", `${lines.join("\n")}\n`);
const program = ts.createProgram(["manifest.ts"], {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  noEmit: true,
  skipLibCheck: true,
  strict: true,
  types: [],
});
const findings = ts.getPreEmitDiagnostics(program);
for (const { messageText } of findings) console.error(ts.flattenDiagnosticMessageText(messageText, "\n"));
if (findings.length > 0) process.exit(1);
for (const { kind, metadata } of objects) console.log(`${kind}/${metadata.name}`);
