"""What steps are made of where it is not one step's alone, or too much for its file.

Every Lambda function and its log group, the permission to call one, every bucket and how it is emptied, and
the two stores of results. A file of `steps/` itself is one step.
"""
