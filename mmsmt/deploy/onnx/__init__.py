"""ONNX: writing a graph, and running a file in ONNX Runtime."""
