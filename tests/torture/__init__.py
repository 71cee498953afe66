"""The n-th call of each kind that the kernel or the allocator can refuse, refused, for every n.

    failing.c         preloaded: counts the calls of one kind, and lets some fail
    failing.py        builds it; the kinds of calls, and with which errors they fail
    scenes.py         what is done while something fails: with QHttp, with a Downloader, with a Client
    scene_server.py   what the scenes ask
    child.py          the process in which it is done, and what is looked at after each run
    campaign.py       plays a scene with the 1st, 2nd, ... call failing, and begins again behind a crash or a hang
    nth_failure.py    the program
"""
