"""Tests of the relay: real sockets on 127.0.0.1, real kernel; conditions are waited for, time is not."""
