"""What lets findings pass or fail: baselines, suppressions, comparisons."""
