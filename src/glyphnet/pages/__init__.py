"""Pages complete in themselves: one HTML file each, that asks the network for nothing."""
