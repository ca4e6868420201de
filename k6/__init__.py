"""The design's five k6 scenarios, and the runner that gives each its plan and turns what it left into a result."""
