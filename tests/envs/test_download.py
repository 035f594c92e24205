"""Files arrive whole and right, whatever their sources do, or not at all."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fleetenv.conda.store import PackageStore
from fleetenv.errors import TaskFailed
from fleetenv.onhost.download import Downloader, Patience, RemoteFile, Unavailable

from .wayward import Wayward, serving

CONTENT = os.urandom(100_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(silent=2.0, slow=20_000.0, window=0.2, pause=0.01)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Wayward]]:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "file").write_bytes(CONTENT)
    with ExitStack() as stack:
        yield lambda **manners: stack.enter_context(serving(folder, **manners))


@pytest.fixture
def downloader(tmp_path: Path) -> Downloader:
    return Downloader(tmp_path / "here", QUICK)


def wanted(*sites: Wayward | str, size: int | None = len(CONTENT)) -> RemoteFile:
    return RemoteFile("file", SHA256, [f"{getattr(each, 'url', each)}/file" for each in sites], size)


def test_a_file_is_fetched_once(site: Callable[..., Wayward], downloader: Downloader) -> None:
    good = site()
    assert [downloader.get(wanted(good)).read_bytes() for _ in range(2)] == [CONTENT] * 2
    assert good.asked == [("/file", 0)]
    assert downloader.notes == []


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_transfer_that_is_cut_goes_on_where_it_was(
    site: Callable[..., Wayward], downloader: Downloader, size: int | None
) -> None:
    flaky = site(cut_after=30_000)
    assert downloader.get(wanted(flaky, size=size)).read_bytes() == CONTENT
    assert [start for _, start in flaky.asked] == [0, 30_000, 60_000, 90_000]
    assert flaky.sent == len(CONTENT)


def test_another_run_and_another_mirror_go_on_with_what_came(
    site: Callable[..., Wayward], downloader: Downloader, tmp_path: Path
) -> None:
    (downloader.folder / f"{SHA256}.part").write_bytes(CONTENT[:70_000])
    other = site()
    assert Downloader(downloader.folder, QUICK).get(wanted(other)).read_bytes() == CONTENT
    assert other.asked == [("/file", 70_000)]


def test_a_server_without_ranges_starts_again(site: Callable[..., Wayward], downloader: Downloader) -> None:
    (downloader.folder / f"{SHA256}.part").write_bytes(b"x" * 70_000)
    assert downloader.get(wanted(site(ranges=False))).read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize("beginning", [b"x" * 70_000, b"x" * 100_000, b"x" * 100_001])
def test_a_wrong_beginning_is_thrown_away(
    site: Callable[..., Wayward], downloader: Downloader, beginning: bytes, size: int | None
) -> None:
    (downloader.folder / f"{SHA256}.part").write_bytes(beginning)
    assert downloader.get(wanted(site(), size=size)).read_bytes() == CONTENT


def test_a_whole_file_that_was_damaged_on_disk_is_fetched_anew(
    site: Callable[..., Wayward], downloader: Downloader
) -> None:
    (downloader.folder / SHA256).write_bytes(CONTENT[:-1] + b"?")
    assert downloader.get(wanted(site())).read_bytes() == CONTENT


def test_wrong_bytes_drop_a_mirror_for_this_file(site: Callable[..., Wayward], downloader: Downloader) -> None:
    liar, good = site(replaced={"/file": b"?" * len(CONTENT)}), site()
    assert downloader.get(wanted(liar, good)).read_bytes() == CONTENT
    (note,) = downloader.notes
    assert note.startswith(f"{liar.url}: it has sha256 ")
    assert note.endswith("; 1 file came from elsewhere")


def test_a_dead_mirror_is_asked_last_from_then_on(site: Callable[..., Wayward], downloader: Downloader) -> None:
    broken, good = site(status=503), site()
    for number in range(3):
        more = os.urandom(10)
        (good.folder / f"{number}").write_bytes(more)
        urls = [f"{broken.url}/{number}", f"{good.url}/{number}"]
        downloader.get(RemoteFile(str(number), hashlib.sha256(more).hexdigest(), urls))
    assert len(broken.asked) == 1
    assert downloader.notes == [f"{broken.url}: HTTP 503 Service Unavailable; 1 file came from elsewhere"]


def test_a_slow_mirror_is_left_for_another_which_goes_on(site: Callable[..., Wayward], downloader: Downloader) -> None:
    slow, good = site(trickle=0.01), site()
    assert downloader.get(wanted(slow, good)).read_bytes() == CONTENT
    assert good.asked[0][1] > 0
    assert ": too slow, 0.1 kB/s; 1 file came from elsewhere" in downloader.notes[0]


def test_a_slow_mirror_is_better_than_none(site: Callable[..., Wayward], downloader: Downloader) -> None:
    slow = site(trickle=0.01)
    small = b"slow but sure" * 4
    slow.replaced["/file"] = small
    file = RemoteFile("file", hashlib.sha256(small).hexdigest(), ["http://127.0.0.1:9/file", f"{slow.url}/file"])
    assert downloader.get(file).read_bytes() == small


def test_no_source_is_one_line_that_names_each(site: Callable[..., Wayward], downloader: Downloader) -> None:
    sources = ["http://user:secret@127.0.0.1:9/t/tk-12345/file", f"{site().url}/nothing"]
    with pytest.raises(Unavailable) as caught:
        downloader.get(RemoteFile("file", SHA256, sources))
    assert str(caught.value) == (
        f"cannot download http://127.0.0.1:9/file: Connection refused; cannot download {sources[1]}: HTTP 404 Not Found"
    )


_ANOTHER_RUN = """
import sys
from pathlib import Path
from fleetenv.conda.store import PackageStore
from fleetenv.onhost.download import RemoteFile
folder, sha256, url = sys.argv[1:]
store = PackageStore(Path(folder))
futures = [store.obtain(RemoteFile("file", sha256, [url])) for _ in range(20)]
(path,) = {future.result(20) for future in futures}
print(path)
"""


def test_the_store_downloads_once_for_all_who_ask_and_for_runs_at_the_same_time(
    site: Callable[..., Wayward], tmp_path: Path
) -> None:
    good = site(trickle=0.001)
    content = good.replaced["/file"] = os.urandom(500)
    sha256 = hashlib.sha256(content).hexdigest()
    command = [sys.executable, "-c", _ANOTHER_RUN, str(tmp_path / "store"), sha256, f"{good.url}/file"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [run.communicate(timeout=30)[0] for run in runs] == [f"{tmp_path / 'store' / sha256}\n"] * 2
    assert good.asked == [("/file", 0)]


def test_what_the_store_could_not_get_is_tried_again_when_asked_again(
    site: Callable[..., Wayward], tmp_path: Path
) -> None:
    store, poor = PackageStore(tmp_path / "store", QUICK), site(status=404)
    with pytest.raises(TaskFailed, match=rf"^cannot download {poor.url}/file: HTTP 404 Not Found$"):
        store.obtain(wanted(poor)).result(10)
    poor.status = None
    assert store.obtain(wanted(poor)).result(10).read_bytes() == CONTENT
