"""Many runs: on several machines, from a cache, as rows that are small enough to keep."""
