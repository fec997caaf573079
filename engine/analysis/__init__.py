"""What distilled sets do to networks, measured after the fact."""
