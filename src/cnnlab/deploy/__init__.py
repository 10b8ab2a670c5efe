"""A trained network put to use: predictions, scores, model files, ONNX, latency; published weights read."""
