"""Pictures that failed, and having them analyzed again.

`failure_queue` reads the events that Lambda gave up, `failures` judges which pictures failed and may be
tried again, `calling` calls the function for them, and `retrying` takes an event from the queue once its
picture has a result. `again` tells what finished pictures lack.
"""
