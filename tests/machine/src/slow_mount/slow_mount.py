"""A folder mounted as it is, but for the time that each operation takes, as on a volume behind a network.

Usage: slow_mount.py FOLDER MOUNT CONTROL. CONTROL is a file of 16 bytes: how long an operation takes, in microseconds, and how many there were, both as
little-endian numbers of 64 bits. Operations wait side by side, as requests to a server do.
"""

import functools
import mmap
import os
import struct
import sys
import threading
import time

import mfusepy as fuse

# Nanoseconds that stand for the time of the call, and for no change (utimensat(2)).
NOW, OMITTED = (1 << 30) - 1, (1 << 30) - 2


class Slow(fuse.Operations):
    use_ns = True

    def __init__(self, folder, control):
        self.folder = folder
        self.control = mmap.mmap(os.open(control, os.O_RDWR), 16)
        self.guard = threading.Lock()

    def wait(self):
        with self.guard:
            pause, count = struct.unpack("<QQ", self.control[:16])
            self.control[8:16] = struct.pack("<Q", count + 1)
        if pause:
            time.sleep(pause / 1e6)

    def at(self, path):
        return self.folder + path

    def getattr(self, path, fh=None):
        found = os.fstat(fh) if fh else os.lstat(self.at(path))
        names = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino", "st_blocks")
        told = {name: getattr(found, name) for name in names}
        times = {"st_atime": found.st_atime_ns, "st_mtime": found.st_mtime_ns, "st_ctime": found.st_ctime_ns}
        return told | times

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(self.at(path))]

    def create(self, path, mode, fi=None):
        return os.open(self.at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path, flags):
        return os.open(self.at(path), flags & ~os.O_APPEND)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(fh if fh else self.at(path), length)

    def flush(self, path, fh):
        pass

    def release(self, path, fh):
        os.close(fh)

    def fsync(self, path, datasync, fh):
        os.fsync(fh)

    def fsyncdir(self, path, datasync, fh):
        pass

    def statfs(self, path):
        found = os.statvfs(self.at(path))
        names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize", "f_namemax")
        return {name: getattr(found, name) for name in names}

    def link(self, target, source):
        os.link(self.at(source), self.at(target))

    def rename(self, old, new):
        os.rename(self.at(old), self.at(new))

    def unlink(self, path):
        os.unlink(self.at(path))

    def mkdir(self, path, mode):
        os.mkdir(self.at(path), mode)

    def rmdir(self, path):
        os.rmdir(self.at(path))

    def chmod(self, path, mode):
        os.chmod(self.at(path), mode)

    def chown(self, path, uid, gid):
        os.chown(self.at(path), uid, gid)

    def utimens(self, path, times=None):
        found = os.lstat(self.at(path))
        meant = {NOW: (time.time_ns(),) * 2, OMITTED: (found.st_atime_ns, found.st_mtime_ns)}
        os.utime(self.at(path), ns=tuple(meant[at][i] if at in meant else at for i, at in enumerate(times or (NOW, NOW))))


def slowed(operation):
    @functools.wraps(operation)
    def call(self, *arguments):
        self.wait()
        return operation(self, *arguments)

    return call


for name in (
    "getattr readdir create open read write truncate flush release fsync fsyncdir statfs link rename unlink mkdir rmdir "
    "chmod chown utimens"
).split():
    setattr(Slow, name, slowed(getattr(Slow, name)))

if __name__ == "__main__":
    folder, mount, control = sys.argv[1:]
    # The kernel remembers nothing, as an NFS client with lookupcache=none and noac.
    forgets = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0}
    fuse.FUSE(Slow(folder, control), mount, foreground=True, nothreads=False, fsname="slow", default_permissions=True, **forgets)
