"""Recipes: how a network is trained, item by item; one file for each family of items."""
