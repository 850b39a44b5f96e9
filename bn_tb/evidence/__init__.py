"""What series prove: pure functions and values that rules share."""
