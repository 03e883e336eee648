// The packed extension is whole, and its command starts a server that has what it needs.

import assert from "node:assert/strict";
import { spawn, execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";

const require = createRequire(import.meta.url);
const rpc = require("vscode-jsonrpc/node");
const manifest = JSON.parse(readFileSync("package.json", "utf-8"));

test("the package holds what its manifest names", () => {
  const [language] = manifest.contributes.languages;
  const [grammar] = manifest.contributes.grammars;
  const list = ["-m", "zipfile", "-l", "cnndsl.vsix"];
  const packed = execFileSync("python3", list, { encoding: "utf-8" });
  for (const path of [manifest.main, language.configuration, grammar.path]) {
    assert.match(packed, new RegExp(`extension/${path.replace("./", "")}\\s`));
  }
  assert.doesNotMatch(packed, /node_modules|\.ts\s/);
  const { scopeName } = JSON.parse(readFileSync(grammar.path, "utf-8"));
  assert.equal(scopeName, grammar.scopeName);
});

test("the command of the settings starts the server", async () => {
  const setting = manifest.contributes.configuration.properties["cnndsl.command"];
  const [command, ...args] = setting.default;
  const server = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const connection = rpc.createMessageConnection(
    new rpc.StreamMessageReader(server.stdout),
    new rpc.StreamMessageWriter(server.stdin),
  );
  const published = new Promise((resolve) => {
    connection.onNotification("textDocument/publishDiagnostics", resolve);
  });
  connection.listen();
  const { capabilities } = await connection.sendRequest("initialize", {
    processId: process.pid,
    rootUri: null,
    capabilities: {},
  });
  const provided = ["hover", "inlayHint", "definition", "references", "rename", "documentSymbol"];
  provided.push("completion", "foldingRange", "semanticTokens", "documentFormatting", "codeAction");
  for (const feature of provided) assert.ok(capabilities[`${feature}Provider`], feature);
  await connection.sendNotification("initialized", {});
  const text = "network net {\n    input image [3, 8, 8]\n    covn(8, 3)\n}\n";
  const textDocument = { uri: "file:///net.cnn", languageId: "cnn", version: 1, text };
  await connection.sendNotification("textDocument/didOpen", { textDocument });
  const { diagnostics } = await published;
  assert.deepEqual(diagnostics.map((found) => found.code), ["E0201"]);
  await connection.sendRequest("shutdown");
  const ended = new Promise((resolve) => server.on("exit", resolve));
  await connection.sendNotification("exit");
  assert.equal(await ended, 0);
});
