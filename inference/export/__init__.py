"""Export of trained networks to ONNX and torch.export, each compared with the original."""
