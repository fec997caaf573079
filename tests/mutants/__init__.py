"""Known faults, planted one at a time; each must be caught by the test it names."""
