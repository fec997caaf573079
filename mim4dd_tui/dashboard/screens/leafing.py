"""Leafing through a run's snapshots: the pictures of one moment, and the curves' cursors at the same one."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from textual import on, work
from textual.message import Message

from engine.errors import MimError
from engine.events import Snapshot
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.album import Album
from mim4dd_tui.dashboard.curves import OVER
from mim4dd_tui.dashboard.keys import KEYS
from mim4dd_tui.dashboard.screens.watch import READING, WatchScreen
from mim4dd_tui.dashboard.session import Session
from mim4dd_tui.dashboard.snapshots import read_sheet
from mim4dd_tui.dashboard.widgets.pictures import PicturesPane
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.sheet import Sheet
from mim4dd_tui.plots.viewing import following

PICTURE_SECONDS = {False: 4.0, True: 8.0}
"""Least time between two pictures that come by themselves; the longer one over SSH."""
REPLAY_SECONDS = {False: 0.5, True: 1.5}
"""Time that a replay stays at each snapshot."""
OVER_TIME = frozenset(key.action for key in KEYS if key.action.startswith(("scrub(", "replay")))
"""Actions that lead from one snapshot to another."""
REPLAY_LONGEST = 30.0
"""Seconds that a replay takes at most: of many snapshots only some are shown."""


class LeafingScreen(WatchScreen):
    """Has a pane of pictures and some of curves.

    Attributes:
        album_behind: the run has snapshots that the album was not told of.
    """

    class PictureRead(Message):
        """A snapshot's pixels were read (or could not be)."""

        def __init__(self, snapshot: Snapshot, sheet: Sheet | None, problem: str) -> None:
            super().__init__()
            self.snapshot = snapshot
            self.sheet = sheet
            self.problem = problem

    def __init__(self, session: Session) -> None:
        self._replaying = False
        super().__init__(session)
        self._album = Album()
        self.album_behind = True
        self._shown: Snapshot | None = None
        self._pictured = 0.0

    @property
    def idle(self) -> frozenset[str]:
        """Also the keys from one snapshot to another, while there are no two."""
        return super().idle | (OVER_TIME if len(self.history.snapshots) < 2 else frozenset())

    @property
    def labels(self) -> Mapping[str, str]:
        """Also what ends a replay."""
        return {**super().labels, **({"replay": "stop playing"} if self._replaying else {})}

    def begin_leafing(self) -> None:
        """Call it when the widgets are there."""
        self.query_one(PicturesPane).waiting = self._none
        self._replay = self.set_interval(REPLAY_SECONDS[self.dashboard.slow_link], self._play_on, pause=True)

    @property
    def _none(self) -> str:
        """What is said where there is no snapshot."""
        if not self.heard_once:
            return READING
        return "no picture" if self.history.state in OVER else "no picture yet"

    def picture(self) -> None:
        """Show the snapshot looked at, or the newest where it is due."""
        if self.album_behind:
            self.album_behind = False
            self._album.update(self.history.snapshots)
        path, wanted, pane = self.session.path, self._album.shown, self.query_one(PicturesPane)
        if wanted is None:
            pane.waiting = self._none
        if wanted is None and self._shown is not None:  # its run was begun anew
            self._shown = None
            pane.show(None)
        if path is None or wanted is None or wanted is self._shown:
            return
        now = time.monotonic()
        if (
            not self._album.follows
            or not self.alive
            or now - self._pictured >= PICTURE_SECONDS[self.dashboard.slow_link]
        ):
            if self._shown is None:
                pane.waiting = "reading the picture"
            self._shown, self._pictured = wanted, now
            self._read_picture(RunFolder(path), wanted, self._album.start)

    @work(thread=True, exclusive=True, group="picture", exit_on_error=False)
    def _read_picture(self, folder: RunFolder, snapshot: Snapshot, start: Snapshot | None) -> None:
        try:
            sheet, problem = read_sheet(folder, snapshot, start), ""
        except (OSError, ValueError, MimError) as error:
            sheet, problem = None, str(error)
        self.post_message(self.PictureRead(snapshot, sheet, problem))

    @on(PictureRead)
    def _picture_read(self, message: PictureRead) -> None:
        message.stop()
        if message.snapshot is not self._shown or self.gone:
            return
        pane = self.query_one(PicturesPane)
        if message.sheet is None:
            pane.waiting = f"no picture: {message.problem}"
        pane.show(message.sheet)

    @on(PicturesPane.Scrubbed)
    def _wheel(self, message: PicturesPane.Scrubbed) -> None:
        message.stop()
        self.action_scrub(message.step)

    def action_scrub(self, step: int) -> None:
        """Through the snapshots in time; the curves' cursors go along."""
        self.stop_playing()
        self._turn(step)

    def _turn(self, step: int) -> None:
        self._album.step(step)
        self._pictured = 0.0  # asked for: at once
        self.picture()
        shown = self._album.shown
        if shown is not None and self.history.iteration:
            place = None if self._album.follows else float(shown.iteration)
            for pane in self.query(PlotPane):
                pane.viewport = following(pane.figure, pane.viewport.changed(cursor=place))

    def action_replay(self) -> None:
        """Play the snapshots from the first to the newest, or stop where it is."""
        if self._replaying:
            self.stop_playing()
            return
        if len(self._album) < 2:
            self.notify("there are no two snapshots to play", severity="warning")
            return
        self._replaying = True
        self.query_one(PicturesPane).play(True)
        self._offer()
        self._turn(-len(self._album))
        self._replay.reset()
        self._replay.resume()

    def stop_playing(self) -> None:
        """Stay at the snapshot shown, if they go by."""
        if self._replaying:
            self._replaying = False
            self._replay.pause()
            self.query_one(PicturesPane).play(False)
            self._offer()

    def _play_on(self) -> None:
        if self.gone:
            return
        seconds = len(self._album) * REPLAY_SECONDS[self.dashboard.slow_link]
        self._turn(math.ceil(seconds / REPLAY_LONGEST))
        if self._album.follows:
            self.stop_playing()

    def action_pictures_page(self, step: int) -> None:
        """Through the images of one snapshot."""
        self.query_one(PicturesPane).page(step)
