"""ONNX models as networks.

`files` and `model` read and check a model, `folding` computes what is constant, `reader` walks
through the nodes, and `operators` has a function for each operator of ONNX.
"""
