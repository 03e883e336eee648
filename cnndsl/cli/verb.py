"""What commands have in common: an option is given once, and the help ends in examples."""

from __future__ import annotations

import re
from typing import Any

import click

from cnndsl.cli.parameters import InputShape, Setting

_END = re.compile(r"[;:.]\s|\.?$", re.MULTILINE)


class Verb(click.Command):
    """A command with examples, which refuses what would otherwise silently count for nothing."""

    def __init__(self, *arguments: Any, examples: tuple[str, ...], **settings: Any):
        super().__init__(*arguments, **settings)
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments. Raises UsageError for a value that another one would replace."""
        _, _, given = self.make_parser(ctx).parse_args(list(args))
        rest = super().parse_args(ctx, args)
        for option in dict.fromkeys(given):
            if not isinstance(option, click.Option) or option.is_flag or ctx.resilient_parsing:
                continue
            names = [""] * given.count(option)
            if option.multiple:
                named = isinstance(option.type, Setting | InputShape)
                names = [name for name, _ in ctx.params[option.name or ""]] if named else []
            for name in names:
                if names.count(name) > 1:
                    raise click.UsageError(f"{option.opts[0]} {name}".rstrip() + " is given twice")
        return rest

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first statement of the help, for the list of all commands."""
        statement = _END.split(self.help or "", maxsplit=1)[0]
        return statement if len(statement) <= limit else super().get_short_help_str(limit)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, a line each, as they are."""
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"  cnndsl {line}\n")
