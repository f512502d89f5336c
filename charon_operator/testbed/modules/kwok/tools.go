//go:build tools

// Package tools names the program built from this module, so that go.mod and go.sum hold what it needs.
package tools

import (
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
