"""Syntax errors in words: what was found, what was expected, what is still open."""

from __future__ import annotations

from typing import NoReturn

from lark import Token, UnexpectedCharacters

from cnndsl.diagnostics import Diagnostic, Source, Span
from cnndsl.diagnostics.spelling import did_you_mean

_EXPRESSION_STARTS = {"NAME", "NUMBER", "STRING", "LPAR", "LSQB", "TRUE", "FALSE"}
_OPERATORS = {
    *("PLUS", "MINUS", "STAR", "SLASH", "DOUBLE_SLASH", "PERCENT", "DOUBLE_STAR"),
    *("EQ", "NE", "LT", "LE", "GT", "GE", "AND", "OR", "IF"),
}
_HINTS = {"EQUAL": "name = … stands on a line of its own, == compares"}
_SPELLING = {
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "VBAR": "'|'",
    "COMMA": "','",
    "EQUAL": "'='",
    "_ARROW": "'->'",
    "_NL": "a new line",
    "NAME": "a name",
    "STRING": "a string in double quotes",
    "LABEL": "a label",
    "NUMBER": "a number",
    "$END": "the end of the file",
}


class SyntaxProblem(Exception):
    """A syntax error as a diagnostic, with the line of the innermost open parenthesis."""

    def __init__(self, diagnostic: Diagnostic, first_line: int):
        super().__init__(diagnostic)
        self.diagnostic = diagnostic
        self.first_line = first_line


def bad_character(source: Source, error: UnexpectedCharacters, seen: list[Token]) -> NoReturn:
    """Raise SyntaxProblem for a character that starts no token."""
    token = Token("BAD", error.char, error.pos_in_stream, error.line)
    if error.char == '"':
        problem_at(source, token, seen, "E0102", "the string is not closed on its line")
    hint = "names have the letters a to z, digits and underscores" if error.char.isalpha() else None
    problem_at(source, token, seen, "E0101", f"unexpected character {error.char!r}", hint)


def bad_token(
    source: Source, token: Token, accepted: set[str], seen: list[Token], end: int
) -> NoReturn:
    """Raise SyntaxProblem for a token where the `accepted` ones were possible.

    `seen` are the tokens before it; `end` is where the text ends, for a token that is its end.
    """
    expected = _expected(accepted - {"COMMENT"})
    hint = _HINTS.get(token.type)
    if token.type == "$END":
        token = Token("$END", "", end)
        found = "it ends here" if source.text[end:].strip() else "the file ends here"
    elif token.type == "_NL":
        found = "the line ends here"
    else:
        found = f"unexpected {_SPELLING.get(token.type, repr(str(token)))}"
        if token.type in ("NAME", "NUMBER", "STRING", "LABEL"):
            found = f"unexpected {str(token)!r}"
        if seen and seen[-1].type == "_ARROW" and token.type in ("OUTPUT", "LET"):
            hint = f"a line begins with {str(token)!r}: {token} name = … -> …"
        if token.type == "NAME" and "NETWORK" in accepted:
            hint = did_you_mean(str(token), ("import", "defaults", "block", "network", "recipe"))
    loop = next((t.type for t in reversed(seen) if t.type in ("FOR", "REPEAT", "IF")), None)
    if loop == "FOR" and accepted == {"LBRACE"} and token.type in ("RBRACE", "VBAR"):
        hint = "in a join, for … in … stands on the line of the branch that it repeats"
    opened = _open_bracket(seen)
    if opened is not None and _ends_bracket(token, opened, seen):
        line, column = source.position(opened.start_pos or 0)
        hint = f"the {str(opened)!r} at line {line}, column {column} is still open"
        rest = source.text[token.start_pos or 0 :].split("\n", 1)[0]
        if token.type in ("_ARROW", "LBRACE") and opened.type == "LPAR" and _closes(rest):
            hint = "no chain stands in ( ): let name = … keeps what it makes, to be used there"
    problem_at(source, token, seen, "E0103", f"{found}, expected {expected}", hint)


def _ends_bracket(token: Token, opened: Token, seen: list[Token]) -> bool:
    """Whether a token tells that the bracket should have been closed before it."""
    if token.type == "$END" or opened.type == "LBRACE":
        return token.type == "$END"
    other = "RSQB" if opened.type == "LPAR" else "RPAR"
    on_next_line = (token.line or 0) > (seen[-1].line or 0)
    return on_next_line or token.type in ("RBRACE", "LBRACE", "VBAR", "_ARROW", other)


def _closes(rest: str) -> bool:
    """Whether the rest of a line closes more round brackets than it opens."""
    return rest.count(")") > rest.count("(")


def problem_at(
    source: Source,
    token: Token,
    seen: list[Token],
    code: str,
    message: str,
    hint: str | None = None,
) -> NoReturn:
    """Raise SyntaxProblem at a token."""
    start = min(token.start_pos or 0, len(source.text))
    width = 1 if token.type == "_NL" else len(token)
    opened = _open_bracket(seen)
    line = source.position(start)[0]
    if opened is not None and opened.type != "LBRACE":
        line = source.position(opened.start_pos or 0)[0]
    diagnostic = Diagnostic(code, message, Span(source, start, start + width), hint)
    raise SyntaxProblem(diagnostic, line) from None


def _open_bracket(tokens: list[Token]) -> Token | None:
    """The innermost bracket that is open after the tokens."""
    open_brackets: list[Token] = []
    for token in tokens:
        if token.type in ("LPAR", "LSQB", "LBRACE"):
            open_brackets.append(token)
        elif token.type in ("RPAR", "RSQB", "RBRACE") and open_brackets:
            open_brackets.pop()
    return open_brackets[-1] if open_brackets else None


def _expected(accepted: set[str]) -> str:
    """The tokens that would have been right, most telling first, as text."""
    words = []
    if accepted >= _EXPRESSION_STARTS:
        words.append("a value")
        accepted -= _EXPRESSION_STARTS | {"MINUS", "NOT", "LABEL", "IF", "FOR", "REPEAT", "LBRACE"}
    elif accepted & {"RPAR", "RSQB", "_ARROW"}:
        accepted -= {"LPAR", "LSQB", "LBRACE"}
    elif "NETWORK" in accepted:
        accepted -= {"EQUAL", "$END"}
    if accepted >= {"EQUAL", "_ARROW"}:
        accepted -= {"EQUAL", "COMMA"}
    closing: list[str] = [
        t for t in ("RPAR", "RSQB", "COMMA", "VBAR", "_ARROW", "RBRACE") if t in accepted
    ]
    if len(accepted - _OPERATORS) <= 4 or not closing:
        rest = sorted(accepted - _OPERATORS - set(closing))
        closing += [t for t in rest if t not in closing]
    words += [_SPELLING.get(token, f"'{token.lower()}'") for token in closing]
    if not words:
        words = ["an operator"]
    words = words[:6]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
