"""Compiled networks as libraries for programs in other languages: files of C, and what they need.

The texts beside this file are templates: @net@ stands for the network's name, @NET@ for the same
in capitals.
"""
