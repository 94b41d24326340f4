"""TensorRT 10 and 11 and TensorRT-RTX, on one code path: only names that all three have.

library -> build (at ``prepare``) -> plans (cache) -> engine. Precision lives in the ONNX file.
"""
