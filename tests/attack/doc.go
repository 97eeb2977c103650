// Command attack hurts what Sparrow reads and watches what its commands do:
//
//	go run ./tests/attack                  one minute
//	go run ./tests/attack --for 1h --seed 7 --keep /tmp/attack
//
// It takes the small runs, configs and data of tests/testdata/v1, changes one to three places of a checkpoint, a config, a
// data file or a cache of statistics, seals the checkpoint again so that no checksum gives the change away, and runs a
// command on it within limits of time and memory. A command may succeed or end with a message. A panic, a hang, a blow-up of
// memory, an exit code of no meaning, an error without a message, or a number that is none printed with exit code 0 is a
// failure: the input is kept, with the command that shows it.
package main
