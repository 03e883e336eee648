"""What PyTorch lacks: functions and modules of which a model takes a copy of those it needs.

They use nothing but PyTorch and one another.
"""
