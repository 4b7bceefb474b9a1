"""Why a picture has no result, or a failed one; only reading, nothing is changed.

`missing` says it of a key in one look, for `result` and `retry`. For `explain`, `evidence` gathers what
there is to be known (the bucket, the result, the `attempts` in the log, the failure queue, the `parts`
that are not right), `explanation` draws the conclusion, and `timeline` puts it in order.
"""
