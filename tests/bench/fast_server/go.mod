module perf-suite/fast-server

go 1.25.0
