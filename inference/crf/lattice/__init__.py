"""Mean field in torch: on any device, in float32 or float64, with gradients.

The counterpart compiled for the CPU, several times faster and without gradients, is
`inference.crf.fused`, whose docstring says which of its files answers which of these.
"""
