"""The record of a run, as reports read it; it is made in ``lab.judge.record``, below the room that runs."""

from lab.judge.record import RunRecord, build_record, read_record, update_latest, write_record

__all__ = ["RunRecord", "build_record", "read_record", "update_latest", "write_record"]
