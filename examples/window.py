"""A window that downloads a file, after the HTTP example of Qt 4: qhttp.qt.QHttp, a progress bar, and a button to cancel.

    python examples/window.py http://localhost:8000/file            (with PySide6 or PyQt6, and qtpy)

The body goes into a file as it comes; the window never waits.
"""
import os
import sys
from urllib.parse import urlsplit

from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

import qhttp.qt


class HttpWindow(QWidget):
    """`folder`: where files go."""

    def __init__(self, url="", folder="."):
        super().__init__()
        self.setWindowTitle("qhttp")
        self.folder, self.file = folder, None
        self.url_edit = QLineEdit(url)
        self.url_edit.setPlaceholderText("http://...")
        self.status = QLabel("Please enter the URL of a file to download.")
        self.bar = QProgressBar()
        self.download_button, self.cancel_button = QPushButton("Download"), QPushButton("Cancel")
        self.cancel_button.setEnabled(False)
        self._lay_out()

        self.http = qhttp.qt.QHttp(self)
        self.http.progressMaximum.connect(self.bar.setMaximum)
        self.http.progressValue.connect(self.bar.setValue)
        self.http.responseHeaderReceived.connect(self.read_header)
        self.http.done.connect(self.end)
        self.download_button.clicked.connect(self.download)
        self.url_edit.returnPressed.connect(self.download)
        self.cancel_button.clicked.connect(self.http.abort)

    def _lay_out(self):
        line, buttons, layout = QHBoxLayout(), QHBoxLayout(), QVBoxLayout(self)
        line.addWidget(QLabel("URL:"))
        line.addWidget(self.url_edit)
        buttons.addStretch()
        buttons.addWidget(self.download_button)
        buttons.addWidget(self.cancel_button)
        for part in (line, buttons):
            layout.addLayout(part)
        layout.insertWidget(1, self.status)
        layout.insertWidget(2, self.bar)
        self.resize(520, 140)

    def download(self):
        """Asks for the file that the URL leads to."""
        url = urlsplit(self.url_edit.text())
        if url.scheme not in ("http", "https") or not url.hostname:
            self.status.setText("That is no URL of http or https.")
            return
        name = os.path.basename(url.path) or "index.html"
        self.path = os.path.join(self.folder, name)
        self.file = open(self.path + ".part", "wb", buffering=0)
        mode = self.http.ConnectionModeHttps if url.scheme == "https" else self.http.ConnectionModeHttp
        self.http.setHost(url.hostname, mode, url.port or 0)
        self.http.get((url.path or "/") + (f"?{url.query}" if url.query else ""), self.file)
        self.status.setText(f"Downloading {name} ...")
        self.bar.setRange(0, 0)
        self._set_busy(True)

    def read_header(self, header):
        if header.statusCode() != 200:
            self.status.setText(f"The server answered {header.statusCode()} {header.reasonPhrase()}.")
            self.refused = True
            self.http.abort()

    def end(self, error):
        """All is done, or nothing more will be."""
        self.file.close()
        if error:
            os.unlink(self.path + ".part")
            if not self.refused:
                self.status.setText("Cancelled." if self.http.error() == self.http.Aborted
                                    else f"Download failed: {self.http.errorString()}.")
            self.bar.setRange(0, 100)
            self.bar.reset()
        else:
            os.replace(self.path + ".part", self.path)
            self.status.setText(f"Downloaded {os.path.basename(self.path)} ({os.path.getsize(self.path):,} bytes).")
        self._set_busy(False)

    def _set_busy(self, is_busy):
        self.refused = self.refused and not is_busy
        self.download_button.setEnabled(not is_busy)
        self.cancel_button.setEnabled(is_busy)

    refused = False


if __name__ == "__main__":
    application = QApplication(sys.argv)
    window = HttpWindow(*sys.argv[1:2])
    window.show()
    sys.exit(application.exec())
