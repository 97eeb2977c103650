// Command walks runs what the documents show: every command of README.md and docs/, page by page, each page from the top in a
// fresh copy of the checkout, as a reader would who follows it.
//
//	go run ./tests/walks                 all pages
//	go run ./tests/walks docs/training.md
//	go run ./tests/walks tests/walks/users/own-texts.md
//	go run ./tests/walks --list          the commands and their marks, without running them
//
// A comment before a code block marks what is special about it:
//
//	<!-- ci: short -->           train for two steps without warm-up: --set train.steps=2 is added, to
//	                             compress run --set compress.finetune.steps=2; more KEY=VALUE may follow
//	<!-- ci: skip REASON -->     parse only: it needs what CI lacks, or hours
//	<!-- ci: output -->          standard output must be what the page shows; a line [...] stands for any lines
//	<!-- ci: file NAME -->       the block is written to this file of the folder
//
// A command in a sh block is a line; in a console block it follows a $, and what it prints follows it. Without a mark
// the labels of the lines that it prints must be those that the page shows, not the figures. Every command must end
// with exit code 0.
//
// Pages below tests/walks/users are walks of three users: from own texts to a service, three methods side by side on own data, a folder
// from elsewhere. They check what they get by grep and test, and take commands from the documents alone.
//
// It knows commands by their help alone, and nothing of what they do.
package main
