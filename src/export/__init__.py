"""Networks as files that run without this project: ONNX, TorchScript, torch.export."""
