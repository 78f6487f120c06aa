"""The operators of `mmcv._ext` as plain functions on torch and torchvision.

Each function has the name, order of parameters and semantics of the compiled one: result tensors
are arguments, and are filled in place. They run on every device in float32, float64, float16 and
bfloat16. The two half types are computed in float32 and rounded once.
"""
