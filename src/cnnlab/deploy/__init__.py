"""Use of a trained network: predictions, scores, model files, ONNX, latency; import of published weights."""
