// Package machine tells how much memory this process may use, and writes such numbers for people. It knows no network.
package machine
