#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Builds the console with esbuild: node build.js [site] [npm] [test]; without a name, site and npm.
//   dist/site   what a server serves: the pages, one bundle for each, languages, licences, and all of it compressed
//   dist/npm    the package's modules and types, for panels' bundlers
//   dist/test   the unit tests, for node --test
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const MODULES = join(HERE, "node_modules");
const BROWSERS = ["chrome123", "firefox121", "safari17.5"];
const TOOLS = ["esbuild", "typescript"]; // nothing of them is in what is built
const VNC_LIMIT = 120 * 1024; // bytes, compressed, of the bundle that a screen on a slow network waits for
const TEXT = /\.(html|js|svg|txt)$/;

const read = (...path) => readFileSync(join(HERE, ...path), "utf8");

/** Style sheets become texts, without the spaces. */
const styles = {
  name: "styles",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const options = { loader: "css", minify: true, target: BROWSERS };
      return { contents: (await transform(readFileSync(path, "utf8"), options)).code.trim(), loader: "text" };
    });
  },
};

/** Tables have one export. esbuild would add one for each member, whose name older browsers cannot export. */
const tables = {
  name: "tables",
  setup({ onLoad }) {
    onLoad({ filter: /\.json$/ }, ({ path }) => ({ contents: `export default ${readFileSync(path, "utf8")}` }));
  },
};

/** noVNC would wait for a test of video decoding at its start, and all of the page with it; older browsers, and
 *  bundlers with their usual settings, take no such module. RFB asks for the result when it connects. */
const unawaited = {
  name: "unawaited",
  setup({ onLoad }) {
    const waits = /^(supportsWebCodecsH264Decode) = await (\w+\(\));$/m;
    onLoad({ filter: /novnc\/core\/util\/browser\.js$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      if (!waits.test(text)) throw new Error(`${path} has changed`);
      return { contents: text.replace(waits, "$2.then((is) => ($1 = is), () => {});") };
    });
  },
};

const COMMON = {
  absWorkingDir: HERE,
  bundle: true,
  charset: "utf8",
  format: "esm",
  legalComments: "none",
  loader: { ".svg": "text" },
  logLevel: "warning",
  // noVNC's package names only its main module; parts of it are used alone.
  alias: { "@novnc/novnc/core": "./node_modules/@novnc/novnc/core" },
  plugins: [styles, tables, unawaited],
  target: BROWSERS,
};
const BANNER = { js: "/*! Licences: NOTICE.txt */" };

function empty(folder) {
  rmSync(join(HERE, folder), { recursive: true, force: true });
  mkdirSync(join(HERE, folder), { recursive: true });
}

// --- licences -----------------------------------------------------------------------------------

/** The folders of the packages that are built in, and of what is copied into them. */
function packages() {
  const lock = Object.keys(JSON.parse(read("package-lock.json")).packages);
  const names = lock.map((path) => path.split("node_modules/").pop());
  const used = names.filter((name) => name && !TOOLS.includes(name) && !name.startsWith("@esbuild/"));
  return [...used.sort(), "@novnc/novnc/vendor/pako"];
}

function licences(folder) {
  const files = [folder, join(folder, "docs")].flatMap((place) =>
    existsSync(place) ? readdirSync(place).map((name) => join(place, name)) : [],
  );
  // Those of noVNC's fonts and pictures are left out, because they are not built in.
  return files.filter((path) => /\/(LICEN[CS]E[^/]*|AUTHORS)$/i.test(path) && !/BSD|OFL/.test(path));
}

/** Files whose own licence is nowhere else. */
const LICENCE_IN_COMMENT = { "@novnc/novnc": ["core/crypto/des.js"] };

function commentLicences(name) {
  const files = LICENCE_IN_COMMENT[name] ?? [];
  return files.map((file) => {
    const [comment] = read("node_modules", name, file).match(/^\/\*.*?\*\//s);
    return `${file}:\n${comment.replace(/^ *\/?\*+\/? ?/gm, "").trim()}`;
  });
}

function notice() {
  const parts = packages().map((name) => {
    const folder = join(MODULES, name);
    const about = join(folder, "package.json");
    const named = existsSync(about) ? JSON.parse(readFileSync(about, "utf8")) : {};
    const { version = "", license = "", repository = "" } = named;
    const texts = licences(folder).map((path) => readFileSync(path, "utf8").trim());
    if (!texts.length) throw new Error(`${name} has no licence`);
    texts.push(...commentLicences(name));
    const address = (repository.url ?? repository).replace(/^git\+|\.git$/g, "");
    const source = address ? `Source: ${address}, version ${version}\n\n` : "";
    const line = "=".repeat(100);
    return `${line}\n${[name, version, license].filter(Boolean).join(" ")}\n${line}\n${source}${texts.join("\n\n")}`;
  });
  const head =
    "The console's files (Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0) contain the packages below, " +
    "unchanged\nexcept that comments and spaces are removed, and that noVNC does not wait for its test of H.264 " +
    "(core/util/browser.js;\nhow is in console/build.js of proxxy's source). Their source is at the addresses given.";
  return `${[head, ...parts].join("\n\n")}\n`;
}

// --- the pages ----------------------------------------------------------------------------------

/** The script inside both pages, without which the WebSocket would wait for the bundle. */
async function inlineScript() {
  const options = { ...COMMON, entryPoints: ["src/early.ts"], format: "iife", minify: true, write: false };
  const [{ text }] = (await build(options)).outputFiles;
  return text.trim();
}

/** Returns the bundle's name. Other chunks are the languages. */
async function bundlePage(name, module) {
  const { metafile } = await build({
    ...COMMON,
    entryPoints: { [name]: module },
    entryNames: "[name].[hash]",
    chunkNames: "[name].[hash]",
    minify: true,
    splitting: true,
    metafile: true,
    outdir: "dist/site",
    banner: BANNER,
  });
  const [path] = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === module);
  return basename(path);
}

function compress(folder) {
  let table = "";
  for (const name of readdirSync(join(HERE, folder)).sort()) {
    if (!TEXT.test(name)) continue;
    const content = readFileSync(join(HERE, folder, name));
    const compressed = gzipSync(content, { level: 9 });
    writeFileSync(join(HERE, folder, `${name}.gz`), compressed);
    const sizes = [content, compressed].map(({ length }) => `${(length / 1024).toFixed(1)} KiB`.padStart(11));
    table += `${name.padEnd(28)}${sizes.join("")}\n`;
    if (name.startsWith("page-vnc.") && compressed.length > VNC_LIMIT)
      throw new Error(`${name} has ${compressed.length} bytes compressed, more than ${VNC_LIMIT}`);
  }
  return table;
}

async function site() {
  empty("dist/site");
  const script = await inlineScript();
  for (const [page, bundle, module] of [
    ["novnc.html", "page-vnc", "src/page_vnc.ts"],
    ["xterm.html", "page-term", "src/page_term.ts"],
  ]) {
    const name = await bundlePage(bundle, module);
    const html = read("pages", page)
      .replace(`"${bundle}.js"`, () => `"${name}"`)
      .replace("<script></script>", () => `<script>${script}</script>`);
    if (!html.includes(name) || !html.includes(script)) throw new Error(`pages/${page} has no place for a script`);
    writeFileSync(join(HERE, "dist/site", page), html);
  }
  copyFileSync(join(HERE, "pages/favicon.svg"), join(HERE, "dist/site/favicon.svg"));
  writeFileSync(join(HERE, "dist/site/NOTICE.txt"), notice());
  console.log(`${"dist/site".padEnd(28)}${"raw".padStart(11)}${"gzip".padStart(11)}`);
  console.log(compress("dist/site").trimEnd());
  console.log(`inline script: 'sha256-${createHash("sha256").update(script).digest("base64")}'`);
}

// --- the package --------------------------------------------------------------------------------

/** Declarations of the modules that the package's users see, from the main one on. */
function types() {
  const compiler = join(MODULES, "typescript/bin/tsc");
  const options = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--rootDir", "src"];
  const command = [compiler, "-p", "tsconfig.npm.json", ...options, "--outDir", "dist/types"];
  const done = spawnSync(process.execPath, command, { cwd: HERE, stdio: "inherit" });
  if (done.status) throw new Error("tsc failed");
  const wanted = ["index.d.ts"];
  for (const name of wanted) {
    const text = read("dist/types", name);
    for (const [, from] of text.matchAll(/(?:from|import\()\s*"(\.[^"]+)\.js"/g)) {
      const next = join(dirname(name), `${from}.d.ts`);
      if (!wanted.includes(next)) wanted.push(next);
    }
    mkdirSync(dirname(join(HERE, "dist/npm", name)), { recursive: true });
    writeFileSync(join(HERE, "dist/npm", name), text);
  }
  rmSync(join(HERE, "dist/types"), { recursive: true });
}

async function npm() {
  empty("dist/npm");
  await build({
    ...COMMON,
    entryPoints: ["src/index.ts"],
    chunkNames: "[name].[hash]",
    splitting: true,
    outdir: "dist/npm",
    banner: BANNER,
  });
  types();
  writeFileSync(join(HERE, "dist/npm/NOTICE.txt"), notice());
}

// --- unit tests ---------------------------------------------------------------------------------

async function test() {
  empty("dist/test");
  const tests = readdirSync(join(HERE, "test")).filter((name) => name.endsWith(".test.ts"));
  await build({
    ...COMMON,
    entryPoints: tests.map((name) => `test/${name}`),
    outdir: "dist/test",
    outExtension: { ".js": ".mjs" },
    platform: "node",
    target: "node18",
  });
}

const TARGETS = { site, npm, test };
const names = process.argv.slice(2);
const unknown = names.find((name) => !(name in TARGETS));
if (unknown) {
  console.error(`build.js: no target ${unknown}. Targets: ${Object.keys(TARGETS).join(" ")}`);
  process.exit(64);
}
for (const name of names.length ? names : ["site", "npm"]) await TARGETS[name]();
