"""Networks as stateless functions of a flat parameter vector."""

from engine.networks.convnet import ConvNet

__all__ = ["ConvNet"]
