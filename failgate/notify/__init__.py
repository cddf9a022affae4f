"""Telling people and programs what happened: who wants to hear, what is said, and how it surely arrives.

The audit log is the queue. A record of it is written in the transaction of the change that it tells of; `routing.py`
reads the log behind a cursor and puts what is to be told into the outbox, `delivering.py` carries it to the notifiers,
which are plugins (`notifier.py` is their contract). What is not here: the pages and the API (`web/`), and the live
socket, which `gate/feed.py` feeds.
"""
