"""The language server: hands on what an editor asks, and tells it of all findings."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from cnndsl import __version__
from cnndsl.diagnostics import CnnError
from cnndsl.editor import protocol
from cnndsl.editor.actions import actions
from cnndsl.editor.completion import completions
from cnndsl.editor.definition import definition, references
from cnndsl.editor.document import Document
from cnndsl.editor.hover import hover
from cnndsl.editor.inlay import inlays
from cnndsl.editor.outline import foldings, outline
from cnndsl.editor.positions import Position
from cnndsl.editor.rename import RenameError, renamable, rename
from cnndsl.editor.workspace import Workspace
from cnndsl.format.formatter import format_source
from cnndsl.language.names import occurrence_at, occurrences
from cnndsl.language.tokens import KINDS
from cnndsl.language.words import name_at, words
from cnndsl.lint.selection import Selection

PAUSE = 0.05
"""Seconds without a change, in which memory is freed."""

_LEGEND = types.SemanticTokensLegend(list(KINDS), ["declaration"])


class Server(LanguageServer):
    """The open texts of one editor, by their addresses."""

    def __init__(self) -> None:
        super().__init__(
            "cnndsl", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full
        )
        self.texts = Workspace()
        self.options: Any = None
        self.addresses: dict[Path, str] = {}
        self.collection: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Take over what the editor has agreed on: encoding and folders."""
        found = [uris.to_fs_path(uri) for uri in self.workspace.folders]
        root = self.workspace.root_path
        names = found or ([root] if root else [])
        folders = tuple(Path(name) for name in names if name)
        encoding = self.workspace.position_encoding or types.PositionEncodingKind.Utf16
        selection, wrong = _selection(self.options)
        self.texts = Workspace(folders, types.PositionEncodingKind(encoding).value, selection)
        for message in wrong:
            shown = types.ShowMessageParams(types.MessageType.Warning, f"cnndsl: {message}")
            self.window_show_message(shown)

        self._watch_files()

    def _watch_files(self) -> None:
        """Ask the editor to tell of files that change on the disk, if it can."""
        known = self.client_capabilities.workspace
        watching = known and known.did_change_watched_files
        if not (watching and watching.dynamic_registration):
            return
        method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        watchers = [types.FileSystemWatcher(glob_pattern="**/*.cnn")]
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers=watchers)
        wanted = types.Registration(id="cnndsl-files", method=method, register_options=options)
        self.client_register_capability(types.RegistrationParams([wanted]))

    def path(self, uri: str) -> Path:
        """The file of an address; a text that is no file is named by its address."""
        path = Path((uris.to_fs_path(uri) if uri.startswith("file:") else None) or uri)
        self.addresses[path] = uri
        return path

    def at(self, params: Any) -> tuple[Document, int]:
        """The document and the character that a request is about."""
        document = self.document(params.text_document.uri)
        return document, document.lines.offset(_position(params.position))

    def document(self, uri: str) -> Document:
        """An open document, or one of a file.

        Raises JsonRpcInvalidParams if that cannot be read.
        """
        try:
            return self.texts.document(self.path(uri))
        except CnnError as error:
            raise JsonRpcInvalidParams(str(error)) from None

    async def publish(self, paths: list[Path]) -> None:
        """Send the findings of documents, unless these change before they are complete."""
        for path in paths:
            document = self.texts.documents.get(path)
            if document is None:
                continue
            for _ in document.steps():
                await asyncio.sleep(0)
                if self.texts.documents.get(path) is not document:
                    return
            found = [protocol.finding(document, item) for item in document.findings()]
            self._send(path, found)
        self._collect_soon()

    def _collect_soon(self) -> None:
        """Free the documents of before in the next pause, not in the midst of a keystroke."""
        if self.collection is not None:
            self.collection.cancel()
        self.collection = asyncio.get_running_loop().call_later(PAUSE, gc.collect)

    def _send(self, path: Path, found: list[types.Diagnostic]) -> None:
        uri = self.addresses.get(path) or protocol.uri_of(path)
        params = types.PublishDiagnosticsParams(uri=uri, diagnostics=found)
        self.text_document_publish_diagnostics(params)

    async def forget(self, path: Path) -> None:
        """Close a text: it has no findings any more, those that import it may have others."""
        self._send(path, [])
        await self.publish(self.texts.close(path))


def _selection(options: Any) -> tuple[Selection, list[str]]:
    """The warnings that an editor's settings want: `select` and `ignore`, as of `check`.

    What is no list of codes counts as not given; that is said.
    """
    given = options if isinstance(options, dict) else getattr(options, "__dict__", None)
    wrong = [] if options is None or given is not None else ["the settings are no object"]
    found = {"select": Selection().select, "ignore": Selection().ignore}
    for name in found:
        codes = (given or {}).get(name)
        if isinstance(codes, list | tuple) and all(isinstance(code, str) for code in codes):
            found[name] = tuple(code.upper() for code in codes) or found[name]
        elif codes is not None:
            wrong.append(f'the setting {name} is no list of codes such as ["W02"]')
    return Selection(**found), wrong


def _position(position: types.Position) -> Position:
    return Position(position.line, position.character)


server = Server()


@server.feature(types.INITIALIZE)
def _initialise(ls: Server, params: types.InitializeParams) -> None:
    ls.options = params.initialization_options


@server.feature(types.INITIALIZED)
def _initialized(ls: Server, _: types.InitializedParams) -> None:
    ls.start()


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
async def _opened(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    given = params.text_document
    await ls.publish(ls.texts.put(ls.path(given.uri), given.text))


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
async def _changed(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    for change in params.content_changes[-1:]:
        await ls.publish(ls.texts.put(ls.path(params.text_document.uri), change.text))


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
async def _closed(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    await ls.forget(ls.path(params.text_document.uri))


@server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
async def _changed_on_disk(ls: Server, params: types.DidChangeWatchedFilesParams) -> None:
    paths = [path for change in params.changes for path in ls.texts.changed(ls.path(change.uri))]
    await ls.publish(list(dict.fromkeys(paths)))


@server.feature(types.TEXT_DOCUMENT_HOVER)
def _hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
    document, offset = ls.at(params)
    found = hover(document, offset)
    if found is None:
        return None
    where = protocol.place(document.lines, found.span.start, found.span.end)
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, found.text), where)


@server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
def _inlay(ls: Server, params: types.InlayHintParams) -> list[types.InlayHint]:
    document = ls.document(params.text_document.uri)
    start, end = (
        document.lines.offset(_position(p)) for p in (params.range.start, params.range.end)
    )
    return [protocol.inlay(document, hint) for hint in inlays(document, start, end)]


@server.feature(
    types.TEXT_DOCUMENT_COMPLETION,
    types.CompletionOptions(trigger_characters=["(", ",", "=", ">", "{", "|", '"', " "]),
)
def _completion(ls: Server, params: types.CompletionParams) -> list[types.CompletionItem]:
    document, offset = ls.at(params)
    begun = name_at(words(document.text[:offset]), offset)
    where = protocol.place(document.lines, begun.start if begun else offset, offset)
    return [protocol.completion(item, where) for item in completions(document, offset)]


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
def _definition(ls: Server, params: types.DefinitionParams) -> types.Location | None:
    found = definition(*ls.at(params))
    return protocol.location(found, ls.texts.encoding) if found else None


@server.feature(types.TEXT_DOCUMENT_REFERENCES)
def _references(ls: Server, params: types.ReferenceParams) -> list[types.Location]:
    document, offset = ls.at(params)
    declared = params.context.include_declaration
    return [
        protocol.location(place.span, ls.texts.encoding)
        for place in references(document, offset, _others(ls, params, offset))
        if declared or not place.declares
    ]


def _others(ls: Server, params: Any, offset: int) -> list[Document]:
    """The documents in which the name at a place may stand as well."""
    document = ls.document(params.text_document.uri)
    found = occurrence_at(occurrences(document.unit), offset)
    if found is None:
        return []
    path = ls.path(params.text_document.uri)
    declared = found.symbol.place
    others = {Path(other.given.name): other for other in ls.texts.around(path, found.symbol.text)}
    if declared is not None and declared.source is not document.source:
        home = Path(declared.source.name)
        others.setdefault(home, ls.texts.document(home))
    return list(others.values())


@server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
def _prepare_rename(ls: Server, params: types.PrepareRenameParams) -> types.Range | None:
    document, offset = ls.at(params)
    try:
        span = renamable(document, offset).span
    except RenameError:
        return None
    return protocol.place(document.lines, span.start, span.end)


@server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
def _rename(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit:
    document, offset = ls.at(params)
    try:
        edits = rename(document, offset, params.new_name, _others(ls, params, offset))
    except (RenameError, CnnError) as error:
        raise JsonRpcInvalidParams(str(error)) from None
    fixed = {Path(edit.span.source.name) for edit in edits}
    for path in fixed:
        if not ls.texts.may_change(path):
            raise JsonRpcInvalidParams(f"{path} belongs to the zoo that is installed")
    return protocol.workspace_edit(edits, ls.texts.encoding)


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def _symbols(ls: Server, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    document = ls.document(params.text_document.uri)
    return [protocol.symbol(document, entry) for entry in outline(document)]


@server.feature(types.TEXT_DOCUMENT_FOLDING_RANGE)
def _folding(ls: Server, params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    document = ls.document(params.text_document.uri)
    return [
        types.FoldingRange(start_line=first, end_line=last, kind=types.FoldingRangeKind(kind))
        for first, last, kind in foldings(document)
    ]


@server.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, _LEGEND)
def _tokens(ls: Server, params: types.SemanticTokensParams) -> types.SemanticTokens:
    return types.SemanticTokens(list(protocol.encoded(ls.document(params.text_document.uri))))


@server.feature(types.TEXT_DOCUMENT_FORMATTING)
def _formatting(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    document = ls.document(params.text_document.uri)
    try:
        formatted = format_source(document.text, document.given.name)
    except CnnError:
        return []
    if formatted == document.text:
        return []
    whole = protocol.place(document.lines, 0, len(document.text))
    return [types.TextEdit(whole, formatted)]


@server.feature(
    types.TEXT_DOCUMENT_CODE_ACTION,
    types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
)
def _actions(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
    document = ls.document(params.text_document.uri)
    start, end = (
        document.lines.offset(_position(p)) for p in (params.range.start, params.range.end)
    )
    return [protocol.action(document, found) for found in actions(document, start, end)]


def run() -> None:
    """Serve one editor on stdin and stdout until it is gone."""
    gc.collect()
    gc.freeze()  # what is loaded stays
    gc.set_threshold(500_000)  # else collections take up to 100 ms in the midst of keystrokes
    server.start_io()
