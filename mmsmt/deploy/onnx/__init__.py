"""Export to ONNX and verification in ONNX Runtime."""
