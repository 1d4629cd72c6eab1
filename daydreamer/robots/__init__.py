"""Robots, a folder each; what several share is beside them. `daydreamer.robots.registry` finds them."""
