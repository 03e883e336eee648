"""Networks in their canonical form, as `cnndsl fmt` writes them."""

from cnndsl.format.formatter import WIDTH, format_source

__all__ = ["WIDTH", "format_source"]
