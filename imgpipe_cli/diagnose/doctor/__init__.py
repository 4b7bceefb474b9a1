"""What `imgpipe doctor` looks at: this machine, the way to AWS, the account, the pipeline, the local cloud.

Nothing here changes anything. Each file judges facts in pure functions and has one function that gathers
them; `examination.py` asks all of them side by side.
"""
