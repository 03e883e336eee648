"""`python -m cnndsl.train` is `cnndsl train`: what torchrun starts on each GPU."""

import runpy
import sys

if __name__ == "__main__":
    sys.argv.insert(1, "train")
    runpy.run_module("cnndsl", run_name="__main__")
