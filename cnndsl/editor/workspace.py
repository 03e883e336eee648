"""The open texts of an editor, and the files around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cnndsl.diagnostics import CnnError, Source
from cnndsl.editor.document import Document
from cnndsl.language import limits
from cnndsl.language.sources import (
    Files,
    is_file,
    read_source,
    resolved,
    texts_in,
    zoo_folder,
)
from cnndsl.lint.selection import Selection

BOM = "\ufeff"


class Workspace:
    """Open documents by path; files that are not open are read from the disk.

    `folders` are those that the editor has open, `selection` the warnings that are wanted.
    """

    def __init__(
        self,
        folders: tuple[Path, ...] = (),
        encoding: str = "utf-16",
        selection: Selection | None = None,
    ) -> None:
        self.folders = folders
        self.encoding = encoding
        self.selection = selection
        self.documents: dict[Path, Document] = {}
        self.files = Files(self.has, self.read, self.beside)
        self._opened: dict[Path, Path] = {}

    def put(self, path: Path, text: str) -> list[Path]:
        """Open a text, or give it another content; returns it and all that may import it."""
        if text.startswith(BOM):  # no part of a text, but editors count it
            text = " " * len(BOM.encode() if self.encoding == "utf-8" else BOM) + text[len(BOM) :]
        self._opened[resolved(path)] = path
        self.documents[path] = self._document(path, text, self.documents.get(path))
        return [path, *self._renewed(path)]

    def close(self, path: Path) -> list[Path]:
        """Forget a text: its file holds again what is on the disk. Returns all that may."""
        self.documents.pop(path, None)
        return self._renewed(path)

    def changed(self, path: Path) -> list[Path]:
        """A file on the disk is another, is new or is gone; returns the texts that seek it.

        None do if it is open: then its text counts.
        """
        return [] if self._open(path) else self._renewed(path)

    def _renewed(self, path: Path) -> list[Path]:
        """Load the documents anew that import a file, or would if it were there."""
        importing = [
            other
            for other, document in self.documents.items()
            if other != path and resolved(path) in document.sought
        ]
        for other in importing:
            known = self.documents[other]
            self.documents[other] = self._document(other, known.text, known)
        return importing

    def has(self, path: Path) -> bool:
        """Whether a file is open, saved or not, or on the disk."""
        return self._open(path) is not None or is_file(path)

    def read(self, path: Path) -> Source:
        """The text of a file as the editor shows it. Raises CnnError if it cannot be read."""
        found = self._open(path)
        return Source(str(path), found.text) if found else read_source(path)

    def _open(self, path: Path) -> Document | None:
        """The open document of a file, under whatever path, such as that of a link."""
        found = self.documents.get(path)
        return found or self.documents.get(self._opened.get(resolved(path), path))

    def beside(self, folder: Path) -> list[Path]:
        """The texts of a folder, open ones that are not saved among them."""
        unsaved = [path for path in self.documents if path.parent == folder]
        return sorted({*texts_in(folder), *unsaved})

    def document(self, path: Path) -> Document:
        """An open document, or one of a file. Raises CnnError if that cannot be read."""
        found = self.documents.get(path)
        return found or self._document(path, read_source(path).text, None)

    def around(self, path: Path, word: str) -> Iterator[Document]:
        """Other documents beside a file, and in the open folders, that hold a word."""
        files = dict.fromkeys(self._files(path))
        for file in islice(files, limits.FILES_BESIDE):
            try:
                text = self.read(file).text
            except CnnError:
                continue
            if file != path and re.search(rf"\b{re.escape(word)}\b", text):
                yield self.document(file)

    def may_change(self, path: Path) -> bool:
        """Whether a file is the user's: not one of an installed zoo."""
        zoo, path = resolved(zoo_folder()), resolved(path)
        return not path.is_relative_to(zoo) or any(
            zoo.is_relative_to(resolved(folder)) for folder in self.folders
        )

    def _files(self, path: Path) -> Iterator[Path]:
        yield from self.documents
        yield from texts_in(path.parent)
        for folder in self.folders:
            yield from sorted(islice(folder.rglob("*.cnn"), limits.FILES_BESIDE))

    def _document(self, path: Path, text: str, earlier: Document | None) -> Document:
        return Document(
            str(path),
            text,
            files=self.files,
            encoding=self.encoding,
            selection=self.selection,
            earlier=earlier,
        )
