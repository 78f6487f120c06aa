"""ONNX: export, and sessions in ONNX Runtime."""
