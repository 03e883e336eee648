"""Grammars: the language itself (cnn.lark) and what editors need to colour it."""
