"""The engine-neutral training loop. Knows steps, epochs, metrics and checkpoints; never torch, never a device."""
