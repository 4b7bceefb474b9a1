"""One file for each command: parse, call, hand the result on."""
