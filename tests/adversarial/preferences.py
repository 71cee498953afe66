"""What qhttp does instead of what a case prefers, and why. Where a case is content with either, to refuse is always allowed."""

UNFOLLOWED = {
    "cl_list_same": "llhttp refuses a list of equal lengths",
    "sl_http12": "llhttp knows no HTTP/1.2",
    "sl_http19": "llhttp knows no HTTP/1.9",
    "sl_lf_everywhere": "llhttp refuses lines that end with LF alone",
    "cn_200_cl": "llhttp refuses a head with both Content-Length and Transfer-Encoding, that of an answer to CONNECT, too",
    "in_user_colon": "the server does not ask for the name, and so it is not sent",
    "up_413_close_now": "the reset for what the server has not read may reach the client before the answer is read",
}
BY_CHANCE = ("up_413_close_now",)       # either, from run to run: the network decides
