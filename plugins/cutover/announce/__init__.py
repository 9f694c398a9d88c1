"""Messages to people about a launch: each person once per campaign and channel, whatever is killed.

``message`` reads a campaign's text, ``audience`` freezes whom it is for and makes what a second person approves,
``sending`` claims each message before it is sent and writes down what became of it, ``mail`` and ``push`` deliver one.
"""

from __future__ import annotations

ACTION = "announce"
