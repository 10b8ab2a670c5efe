"""The layers of the from-scratch engine: forward and backward by hand, on whole batches, channels last."""
