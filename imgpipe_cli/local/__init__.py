"""The local cloud: the whole pipeline on one machine, behind one port on 127.0.0.1.

One background process of ours embeds MiniStack, an AWS emulator, as an ASGI app, and adds what it lacks on a
laptop: a guard in front, a bound on parallel functions, snapshots that survive a kill, and Rekognition.

control.py      start, stop, ask: what the rest of imgpipe uses; imports nothing heavy
server.py       the process itself: __main__.py runs it
access.py       who may ask what (pure); guard.py applies it to every request
rekognition/    what is found in the pixels; rekognition_service.py puts it on the port
models/         the models: pinned, fetched, installed (the analysis goes on without them)
faults.py       Rekognition's throttling and errors on demand
async_events.py the bounded queue of asynchronous invocations
snapshots.py    the state on disk
private_names.py every private name of MiniStack that we rely on, checked at start-up
"""
