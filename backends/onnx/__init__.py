"""The ONNX backend: a checked model of standard operators, run by onnxruntime."""
