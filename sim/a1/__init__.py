"""Model of the Unitree A1."""
