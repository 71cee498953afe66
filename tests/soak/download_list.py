"""Downloads a list with qhttp.Downloader as a Python program would: `download_list.py LIST DIR LOG [setting=value ...]`.

LOG has a JSON line for everything that has ended; `of` is the file that the server says its answer was about. Exit status 0:
all is done; 1: something failed.
"""
import ast
import json
import sys


def rows(path):
    with open(path) as file:
        yield from map(json.loads, file)


def main(path: str, folder: str, log: str, *given: str) -> int:
    import qhttp
    settings = {name: ast.literal_eval(value) for name, _, value in (text.partition("=") for text in given)}
    with open(log, "a") as file, qhttp.Downloader(rows(path), dir=folder, **settings) as downloader:
        def note(transfer):
            file.write(json.dumps({**transfer.to_dict(), "of": transfer.header("x-file")}) + "\n")

        downloader.finished.connect(note)
        downloader.failed.connect(note)
        downloader.run()
        return 1 if downloader.n_failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
