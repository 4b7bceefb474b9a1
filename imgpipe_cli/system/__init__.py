"""Files, threads and the state folder: the parts of the operating system that imgpipe uses."""
