//go:build tools

// Package tools names the programs built from this module, so that go.mod and go.sum hold what they need.
package tools

import (
	_ "github.com/grafana/mimir/cmd/mimir"
	_ "github.com/prometheus/prometheus/cmd/prometheus"
)
