"""embedded.py - libleadpool in this process, by ctypes: for sweeps of thousands of syncs, where a process each would cost minutes."""
import ctypes
import os
import pathlib

import lib

LIBRARY = pathlib.Path(os.environ.get("LEADPOOL_BUILD", lib.BIN.parent)) / "lib/libleadpool.so"


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int32), ("message", ctypes.c_char * 256)]


class Embedded:
    """A replica that stays open in this process. `write` and `sync` give (code, message); code 0 is well."""

    def __init__(self, path):
        self.lp = ctypes.CDLL(str(LIBRARY))
        self.lp.lp_close.restype = self.lp.lp_rollback.restype = None
        for name in ("lp_close", "lp_rollback"):
            getattr(self.lp, name).argtypes = [ctypes.c_void_p]
        self.lp.lp_sync_start.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self.lp.lp_commit.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self.lp.lp_sync.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p]
        self.replica = ctypes.c_void_p()
        error = Error()
        if self.lp.lp_open(os.fsencode(path), ctypes.byref(self.replica), ctypes.byref(error)):
            raise lib.Failed(error.message.decode())

    def write(self, lead, **fields):
        """Sets fields of a lead; makes it if there is none of that id (16 bytes)."""
        txn, error = ctypes.c_void_p(), Error()
        if self.lp.lp_begin(self.replica, ctypes.byref(txn), ctypes.byref(error)):
            return error.code, error.message.decode()
        identity = ctypes.create_string_buffer(lead, 16)
        code = self.lp.lp_create(txn, b"lead", identity, None, ctypes.byref(error))
        for name, text in fields.items():
            code = code or self.lp.lp_set_text(txn, identity, name.encode(), text.encode(), ctypes.byref(error))
        if code:
            self.lp.lp_rollback(txn)
        else:
            code = self.lp.lp_commit(txn, ctypes.byref(error))
        return code, error.message.decode() if code else ""

    def sync(self, timeout_ms=20000):
        error = Error()
        code = self.lp.lp_sync(self.replica, timeout_ms, None, ctypes.byref(error))
        return code, error.message.decode() if code else ""

    def start(self):
        """Keeps in sync on a thread of the library's own."""
        error = Error()
        return self.lp.lp_sync_start(self.replica, ctypes.byref(error))

    def close(self):
        self.lp.lp_close(self.replica)
        self.replica = None
