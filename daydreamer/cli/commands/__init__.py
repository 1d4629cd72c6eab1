"""What each command takes, and its help. What it does is in `daydreamer.cli`, and imported when it runs."""
