"""Looking inside: feature maps, confusion, and what a network costs by several counters."""
