"""Speed and memory of our networks beside others', so that the figures can be believed."""
