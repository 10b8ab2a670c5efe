"""Inspection of networks: feature maps, confusion, loss surface, batch norm, cost by several counters."""
