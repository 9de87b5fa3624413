"""The admin side: health, metrics and status over HTTP, in the supervisor, or in the one process there is.

It is the extra `admin`. It may only ask what is counted anyway: nothing here can be changed over HTTP.
Read next: `app.py` for the pages, `server.py` for how it is kept from hurting the relay.
"""
