"""On-robot learning runtime: a robot learns a world model and trains its policy inside it, within an hour."""

__version__ = "0.1.0"
"""Said here and in package.xml, which a test compares; pip, sessions and the documentation ask."""
