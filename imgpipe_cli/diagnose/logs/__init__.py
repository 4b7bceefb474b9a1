"""What the functions wrote into their logs.

`reading` fetches the lines, once or as they come; `lines` tells what one line says.
"""
