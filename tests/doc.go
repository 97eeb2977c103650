// Package tests holds the tests of what crosses packages: parity with independent implementations, the commands from end
// to end, what the README says, and how the house is laid out. Nothing imports it.
package tests
