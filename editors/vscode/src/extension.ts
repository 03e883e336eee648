// Starts `cnndsl lsp` for the .cnn files of a window.

import * as vscode from "vscode";
import { LanguageClient, TransportKind } from "vscode-languageclient/node";

let client: LanguageClient | undefined;

async function start(): Promise<void> {
  const settings = vscode.workspace.getConfiguration("cnndsl");
  const [command, ...args] = settings.get<string[]>("command", ["cnndsl", "lsp"]);
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  client = new LanguageClient(
    "cnndsl",
    { command, args, options: { cwd: folder }, transport: TransportKind.stdio },
    {
      documentSelector: [{ language: "cnn" }],
      initializationOptions: { select: settings.get("select"), ignore: settings.get("ignore") },
    },
  );
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    const hint = "pip install 'cnndsl[lsp]', or set cnndsl.command";
    void vscode.window.showErrorMessage(`${[command, ...args].join(" ")}: ${error} (${hint})`);
  }
}

async function stop(): Promise<void> {
  await client?.stop();
  client = undefined;
}

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const restart = async () => {
    await stop();
    await start();
  };
  context.subscriptions.push(
    vscode.commands.registerCommand("cnndsl.restart", restart),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("cnndsl")) void restart();
    }),
  );
  await start();
}

export function deactivate(): Promise<void> {
  return stop();
}
